// SPDX-License-Identifier: Apache-2.0
// destroy() of what has gone is an error.
#include <set>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void destroy(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    if (!gone_.insert(ref.name).second) throw zoo::Failure{CLOUD_E_NOT_FOUND, "no such machine"};
    Sleeper::destroy(ref, deadline);
  }

 private:
  std::set<std::string> gone_;
};

}  // namespace

ZOO_BACKEND(Wrong, "destroys_once", 0);
