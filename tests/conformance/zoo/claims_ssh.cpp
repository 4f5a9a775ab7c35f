// SPDX-License-Identifier: Apache-2.0
// It claims that its machines are entered through ssh, and nobody answers there.
#include "tests/conformance/zoo/sleeper.hpp"

ZOO_BACKEND(zoo::Sleeper, "claims_ssh", CLOUD_CAP_SSH);
