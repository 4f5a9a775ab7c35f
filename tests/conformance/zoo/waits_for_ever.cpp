// SPDX-License-Identifier: Apache-2.0
// stop() waits for the machine alone. Its machines end at once, unless they hang.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void stop(const cloud_machine_ref& ref, zoo::Deadline) {
    const auto sleep = sleep_of(ref.work_dir);
    if (!sleep.lives()) return;
    ::kill(sleep.pid, SIGTERM);
    while (sleep.lives()) ::usleep(1000);
    ::waitpid(sleep.pid, nullptr, WNOHANG);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "waits_for_ever", 0);
