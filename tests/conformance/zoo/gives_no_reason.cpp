// SPDX-License-Identifier: Apache-2.0
// A refusal without a word.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void wait_ready(const cloud_machine_ref& ref, zoo::Deadline deadline,
                  const zoo::Progress& progress) {
    if (!sleep_of(ref.work_dir).lives()) throw zoo::Failure{CLOUD_E_NODE, ""};
    Sleeper::wait_ready(ref, deadline, progress);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "gives_no_reason", 0);
