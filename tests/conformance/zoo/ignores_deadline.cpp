// SPDX-License-Identifier: Apache-2.0
// wait_ready() looks at its own watch.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void wait_ready(const cloud_machine_ref& ref, zoo::Deadline deadline,
                  const zoo::Progress& progress) {
    const bool is_short = deadline.remaining() < 500000000;
    if (is_short) ::sleep(6);
    Sleeper::wait_ready(ref, is_short ? zoo::Deadline{INT64_MAX} : deadline, progress);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "ignores_deadline", 0);
