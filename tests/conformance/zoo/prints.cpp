// SPDX-License-Identifier: Apache-2.0
// start() talks to whoever is there.
#include <cstdio>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    std::printf("starting\n");
    Sleeper::start(spec, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "prints", 0);
