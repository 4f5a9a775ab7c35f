// SPDX-License-Identifier: Apache-2.0
// destroy() takes the mark away and leaves the machine.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void destroy(const cloud_machine_ref& ref, zoo::Deadline) {
    zoo::fs::remove(registry_ / ref.name);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "keeps_running", 0);
