// SPDX-License-Identifier: Apache-2.0
// An integer whose default is none.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

constexpr cloud_option kWrong[] = {
    {"registry", CLOUD_STRING, 1, nullptr, "The folder in which every machine has a mark."},
    {"weight", CLOUD_INT, 0, "heavy", "Of a machine."}};

}  // namespace

CLOUD_BACKEND(zoo::Sleeper, "mumbles", "1", 0, kWrong);
