// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cloud::lxc {

/// One line of /proc/PID/uid_map.
struct IdRange {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
};

/// Maps ids 0..65535 of a machine to the range that begins at `first`, but each of `own` to itself.
/// 0 is never mapped to itself: root inside is nobody outside. Ids above 65535 get a line of their
/// own. At most 340 lines, the kernel's limit: own ids beyond that are left out, the last first.
[[nodiscard]] std::vector<IdRange> make_id_map(const std::vector<std::uint32_t>& own,
                                               std::uint32_t first);

/// The text to write to /proc/PID/uid_map.
[[nodiscard]] std::string proc_text(const std::vector<IdRange>& map);

}  // namespace cloud::lxc
