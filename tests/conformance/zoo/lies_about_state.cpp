// SPDX-License-Identifier: Apache-2.0
// A machine that was stopped runs on, it says.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    Sleeper::info(ref, out);
    if (zoo::fs::exists(std::string{ref.work_dir} + "/process")) out.state = CLOUD_RUNNING;
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "lies_about_state", 0);
