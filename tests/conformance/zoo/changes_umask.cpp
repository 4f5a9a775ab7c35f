// SPDX-License-Identifier: Apache-2.0
// prepare() changes the umask.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void prepare(const cloud_machine_spec& spec) {
    ::umask(0);
    Sleeper::prepare(spec);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "changes_umask", 0);
