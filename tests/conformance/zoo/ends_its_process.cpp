// SPDX-License-Identifier: Apache-2.0
// prepare() ends the process that calls it.
#include <cstdlib>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void prepare(const cloud_machine_spec& spec) {
    Sleeper::prepare(spec);
    std::exit(3);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "ends_its_process", 0);
