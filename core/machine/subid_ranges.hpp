// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record.hpp"

namespace cloud {

/// The range of 65536 sub-ids of a user's machines on this node; its first id. `file` remembers
/// whose each range is ("FIRST UID" a line, oldest first), across jobs and reboots: a process or a
/// set-uid file that outlives a machine carries ids of its range, and those shall never become
/// another user's. Only where all ranges are given away does the oldest one that no record holds
/// change hands. Blame::busy where none is left. The caller holds the node's lock.
[[nodiscard]] Result<std::uint32_t> take_subid_range(const SiteConfig& config,
                                                     const std::string& file, std::uint32_t uid,
                                                     const std::vector<JobRecord>& records);

}  // namespace cloud
