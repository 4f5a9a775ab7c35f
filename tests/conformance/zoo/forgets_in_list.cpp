// SPDX-License-Identifier: Apache-2.0
// list() knows what this process has made.
#include <set>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void prepare(const cloud_machine_spec& spec) {
    Sleeper::prepare(spec);
    made_.insert(spec.name);
  }
  void list(const std::function<void(const std::string&)>& visit) {
    Sleeper::list([&](const std::string& name) {
      if (made_.contains(name)) visit(name);
    });
  }

 private:
  std::set<std::string> made_;
};

}  // namespace

ZOO_BACKEND(Wrong, "forgets_in_list", 0);
