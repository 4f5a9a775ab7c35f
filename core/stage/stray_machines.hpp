// SPDX-License-Identifier: Apache-2.0
//
// Machines that carry the name of a job on this node and that no record knows: libvirtd has
// executed a create whose client had given up, or somebody has removed a record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/config/site_config.hpp"

namespace cloud {

/// The job that a machine of this node is for; std::nullopt where the name is not one that
/// machine_name() gives on this node. Pure.
[[nodiscard]] std::optional<std::uint64_t> job_of_machine(std::string_view machine,
                                                          std::string_view node);

/// Ends them, through their backends and by the same steps as an epilog, and says so in the log.
/// False where something is left, or a backend could not be asked.
[[nodiscard]] bool end_stray_machines(const LoadedConfig& loaded, const std::string& node);

}  // namespace cloud
