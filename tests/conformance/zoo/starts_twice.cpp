// SPDX-License-Identifier: Apache-2.0
// start() of a machine that runs makes another.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    const auto sleep = sleep_of(spec.work_dir);
    if (!sleep.lives()) return Sleeper::start(spec, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "starts_twice", 0);
