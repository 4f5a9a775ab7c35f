// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/config/site_config.hpp"
#include "core/error.hpp"

namespace cloud {

/// Who may map one of the ids from `first` on to themselves by newuidmap(1), as `text` of a
/// subuid(5) says: "alice (line 3)"; "" for nobody. Pure. Lines that are none are passed over.
[[nodiscard]] std::string delegation_among(std::string_view text, std::uint32_t first,
                                           std::uint32_t count);

/// Whether machines have their ids to themselves: whoever can map the id that owns a machine's user
/// namespace can make a set-uid file of it, and owns the machine with that. Blame::site with the
/// file and line of /etc/subuid or /etc/subgid. What a directory service delegates is not seen.
[[nodiscard]] Result<void> require_undelegated_subids(const SiteConfig& config);

}  // namespace cloud
