// SPDX-License-Identifier: Apache-2.0
// Every machine that runs costs a descriptor.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    Sleeper::start(spec, deadline);
    (void)::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaks_per_machine", 0);
