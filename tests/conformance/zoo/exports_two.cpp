// SPDX-License-Identifier: Apache-2.0
// Its version script lets out more than the entry point.
#include "tests/conformance/zoo/sleeper.hpp"

extern "C" __attribute__((visibility("default"))) int zoo_second_export() {
  return 2;
}

ZOO_BACKEND(zoo::Sleeper, "exports_two", 0);
