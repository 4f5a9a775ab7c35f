// SPDX-License-Identifier: Apache-2.0
// destroy() ends what this process has started.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    Sleeper::start(spec, deadline);
    mine_ = sleep_of(spec.work_dir);
  }
  void stop(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    if (mine_.pid != 0) Sleeper::stop(ref, deadline);
  }
  void destroy(const cloud_machine_ref& ref, zoo::Deadline) {
    end(mine_);
    zoo::fs::remove(registry_ / ref.name);
  }

 private:
  zoo::Sleep mine_;
};

}  // namespace

ZOO_BACKEND(Wrong, "needs_its_memory", 0);
