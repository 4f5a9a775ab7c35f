// SPDX-License-Identifier: Apache-2.0
// It claims namespaces that the user may enter and has none.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    Sleeper::info(ref, out);
    out.init_pid = out.main_pid;
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "claims_namespaces", CLOUD_CAP_NAMESPACES);
