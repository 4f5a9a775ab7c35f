// SPDX-License-Identifier: Apache-2.0
// The user's home, which is in the machine, is made on the node.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    if (spec.user->home[0] == '/') zoo::fs::create_directories(spec.user->home);
    Sleeper::start(spec, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "makes_home", 0);
