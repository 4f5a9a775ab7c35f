// SPDX-License-Identifier: Apache-2.0
// destroy() asks the machine to end, and does not wait for it.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void destroy(const cloud_machine_ref& ref, zoo::Deadline) {
    const auto sleep = sleep_of(ref.work_dir);
    if (sleep.lives()) ::kill(sleep.pid, SIGTERM);
    zoo::fs::remove(registry_ / ref.name);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "ends_later", 0);
