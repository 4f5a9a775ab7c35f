// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record.hpp"

namespace cloud {

/// Whether an id is among those that machines get: no account or group may have one.
[[nodiscard]] bool is_subid(const SiteConfig& config, std::uint32_t id);

/// Users whose ranges are not where their uid says: the place of each by its uid.
using SubidMap = std::map<std::uint32_t, std::uint32_t>;

/// What a site's map file says: "UID PLACE" a line, besides blank lines and comments with '#'.
/// Pure. `places`: how many there are. Blame::site with `name` and the line where it says anything
/// else, a user twice, or a place twice.
[[nodiscard]] Result<SubidMap> parse_subid_map(const std::string& text, const std::string& name,
                                               std::uint32_t places);

/// The map of the site; empty where cloud.subid_map is. Blame::site where others than root may have
/// written it, or it is wrong.
[[nodiscard]] Result<SubidMap> read_subid_map(const SiteConfig& config);

/// The first of the 65536 sub-ids of a user's machines. A file that outlives a machine carries ids
/// of its range, in a home or scratch that all nodes see, so that the range is the same on every
/// node and for good: its place is the uid minus cloud.uid_first, or what cloud.subid_map says.
/// Blame::site with the key to set where a user has none. Blame::busy where a machine of another
/// user's, which `records` of the host have, still holds it: of an earlier release, or an earlier
/// configuration.
[[nodiscard]] Result<std::uint32_t> subid_range_of(const SiteConfig& config, std::uint32_t uid,
                                                   const std::vector<JobRecord>& records);

}  // namespace cloud
