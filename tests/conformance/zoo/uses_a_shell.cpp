// SPDX-License-Identifier: Apache-2.0
// A shell sees what a user wrote.
#include <cstdlib>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    const auto line = std::string{"echo "} + spec.hostname + " >/dev/null 2>&1";
    (void)!std::system(line.c_str());
    Sleeper::start(spec, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "uses_a_shell", 0);
