// SPDX-License-Identifier: Apache-2.0
// Its link says -z lazy.
#include "tests/conformance/zoo/sleeper.hpp"

ZOO_BACKEND(zoo::Sleeper, "binds_lazily", 0);
