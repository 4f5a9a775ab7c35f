// SPDX-License-Identifier: Apache-2.0
// Its link says nothing of -z nodelete.
#include "tests/conformance/zoo/sleeper.hpp"

ZOO_BACKEND(zoo::Sleeper, "may_be_unloaded", 0);
