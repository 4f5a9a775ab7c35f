// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record.hpp"

namespace cloud {

/// Whether an id is among those that machines get: no account or group may have one.
[[nodiscard]] bool is_subid(const SiteConfig& config, std::uint32_t id);

/// The range of 65536 sub-ids of a user's machines on this host; its first id. `file` remembers
/// whose each range is ("FIRST UID" a line, oldest first), across jobs and reboots: a process or a
/// set-uid file that outlives a machine carries ids of its range, and those shall never become
/// another user's. Only where all ranges are given away does the oldest one that no record holds
/// change hands. Blame::busy where none is left. `records` are the
/// host's, and the caller holds its lock.
[[nodiscard]] Result<std::uint32_t> take_subid_range(const SiteConfig& config,
                                                     const std::string& file, std::uint32_t uid,
                                                     const std::vector<JobRecord>& records);

}  // namespace cloud
