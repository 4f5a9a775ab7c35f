// SPDX-License-Identifier: Apache-2.0
// Its constructor takes its process with it.
#include <csignal>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

[[maybe_unused]] const int crash = std::raise(SIGSEGV);

}  // namespace

ZOO_BACKEND(zoo::Sleeper, "crashes_when_loaded", 0);
