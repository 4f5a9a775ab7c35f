// SPDX-License-Identifier: Apache-2.0
// prepare() and start() take whatever the name is.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

const auto good = cloud::sdk::detail::table<zoo::Sleeper>("", "", 0, nullptr, 0);

std::int32_t prepare(cloud_backend* backend, const cloud_machine_spec* spec, cloud_error* error) {
  const auto code = good.prepare(backend, spec, error);
  return code == CLOUD_E_INTERNAL ? static_cast<std::int32_t>(CLOUD_OK) : code;
}

std::int32_t start(cloud_backend* backend, const cloud_machine_spec* spec, std::int64_t deadline,
                   cloud_error* error) {
  const auto code = good.start(backend, spec, deadline, error);
  return code == CLOUD_E_INTERNAL ? static_cast<std::int32_t>(CLOUD_OK) : code;
}

}  // namespace

ZOO_BACKEND_WITH(zoo::Sleeper, "takes_any_name", 0, {
  table.prepare = prepare;
  table.start = start;
})
