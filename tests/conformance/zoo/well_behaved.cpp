// SPDX-License-Identifier: Apache-2.0
// Nothing is wrong with it: what the others are measured by.
#include "tests/conformance/zoo/sleeper.hpp"

ZOO_BACKEND(zoo::Sleeper, "well_behaved", 0);
