// SPDX-License-Identifier: Apache-2.0
// destroy() asks the machine to end, and takes its deadline for an answer.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void destroy(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    const auto sleep = sleep_of(ref.work_dir);
    if (sleep.lives()) ::kill(sleep.pid, SIGTERM);
    while (sleep.lives()) {
      if (deadline.expired()) throw zoo::Failure{CLOUD_E_TIMEOUT, "it does not want to end"};
      ::usleep(1000);
    }
    Sleeper::destroy(ref, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "asks_politely", 0);
