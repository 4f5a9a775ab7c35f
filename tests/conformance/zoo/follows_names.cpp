// SPDX-License-Identifier: Apache-2.0
// destroy() removes a folder by a name that it did not look at.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

std::int32_t destroy(cloud_backend* backend, const cloud_machine_ref* ref, std::int64_t deadline,
                     cloud_error* error) {
  static const auto good = cloud::sdk::detail::table<zoo::Sleeper>("", "", 0, nullptr, 0);
  if (std::string_view{ref->name}.find('/') != std::string_view::npos) {
    zoo::fs::remove_all(zoo::fs::path{ref->work_dir}.parent_path() / ref->name);
  }
  return good.destroy(backend, ref, deadline, error);
}

}  // namespace

ZOO_BACKEND_WITH(zoo::Sleeper, "follows_names", 0, table.destroy = destroy)
