// SPDX-License-Identifier: Apache-2.0
// It has console() and does not say so.
#include "tests/conformance/zoo/sleeper.hpp"

ZOO_BACKEND_WITH(
    zoo::Sleeper, "hides_console", 0,
    table.console = [](cloud_backend*, const cloud_machine_ref*, std::int32_t*, cloud_error*) {
      return static_cast<std::int32_t>(CLOUD_OK);
    })
