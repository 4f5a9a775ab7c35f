// SPDX-License-Identifier: Apache-2.0
// stop() goes on when the job is cancelled.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void stop(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    if (host_.cancelled()) ::sleep(4);
    Sleeper::stop(ref, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "ignores_cancellation", 0);
