// SPDX-License-Identifier: Apache-2.0
// A refusal of three lines.
#include <cstring>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

std::int32_t wait_ready(cloud_backend* backend, const cloud_machine_ref* ref, std::int64_t deadline,
                        void (*progress)(void*, const char*), void* context, cloud_error* error) {
  static const auto good = cloud::sdk::detail::table<zoo::Sleeper>("", "", 0, nullptr, 0);
  const auto code = good.wait_ready(backend, ref, deadline, progress, context, error);
  if (code == CLOUD_E_NODE) std::strcpy(error->message, "it failed\nbecause of this\nand that");
  return code;
}

}  // namespace

ZOO_BACKEND_WITH(zoo::Sleeper, "tells_a_story", 0, table.wait_ready = wait_ready)
