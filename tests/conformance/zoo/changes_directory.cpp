// SPDX-License-Identifier: Apache-2.0
// start() changes the working directory.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    Sleeper::start(spec, deadline);
    (void)!::chdir("/tmp");
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "changes_directory", 0);
