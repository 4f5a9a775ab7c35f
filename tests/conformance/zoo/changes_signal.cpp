// SPDX-License-Identifier: Apache-2.0
// stop() ignores a signal from then on.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void stop(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    ::signal(SIGPIPE, SIG_IGN);
    Sleeper::stop(ref, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "changes_signal", 0);
