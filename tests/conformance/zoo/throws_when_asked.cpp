// SPDX-License-Identifier: Apache-2.0
// Its entry point throws.
#include <stdexcept>

#include "tests/conformance/zoo/sleeper.hpp"

extern "C" const cloud_backend_v1* cloud_backend_entry_v1() {
  throw std::runtime_error{"no licence"};
}
