// SPDX-License-Identifier: Apache-2.0
#ifndef SPANK_CLOUD_ID_MAP_HPP
#define SPANK_CLOUD_ID_MAP_HPP

#include <cstddef>
#include <cstdint>
#include <set>
#include <spank-cloud/base/machine_ids.hpp>
#include <string>
#include <vector>

namespace cloud {
namespace sdk {

/// One line of /proc/PID/uid_map.
struct IdRange {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
};

/// The text to write to /proc/PID/uid_map.
[[nodiscard]] inline std::string proc_text(const std::vector<IdRange>& map) {
  std::string text;
  for (const auto& range : map) {
    text += std::to_string(range.inside) + " " + std::to_string(range.outside) + " " +
            std::to_string(range.count) + "\n";
  }
  return text;
}

namespace detail {

constexpr std::uint32_t kIdRange = 65536;
constexpr std::uint32_t kEngineId = engine_id(0);
constexpr std::uint32_t kOwnerId = namespace_owner(0);
// The kernel's: of lines, and of the bytes of one write (a page, less the end).
constexpr std::size_t kIdLinesMax = 340;
constexpr std::size_t kIdBytesMax = 4095;

inline std::vector<IdRange> id_map_of(const std::set<std::uint32_t>& own, std::uint32_t first) {
  std::vector<IdRange> map;
  std::uint32_t next = 0;
  const auto map_range_to = [&](std::uint32_t end) {
    if (end > next) map.push_back({next, first + next, end - next});
    next = end + 1;
  };
  auto breaks = own;
  breaks.insert({kEngineId, kOwnerId});
  for (const auto id : breaks) {
    if (id < kIdRange) map_range_to(id);
    if (own.count(id) != 0) map.push_back({id, id, 1});
  }
  return map;
}

}  // namespace detail

/// Maps ids 0..65535 of a machine to the range that begins at `first`, but each of `own` to itself,
/// and namespace_owner() and engine_id() not at all. 0 is never mapped to itself: root inside is
/// nobody outside. Ids above 65535 get a line of their own. At most 340 lines, the kernel's limit:
/// own ids beyond that are left out, the last first.
[[nodiscard]] inline std::vector<IdRange> make_id_map(const std::vector<std::uint32_t>& own,
                                                      std::uint32_t first) {
  auto kept = own;
  for (;;) {
    std::set<std::uint32_t> ids{kept.begin(), kept.end()};
    ids.erase(0);
    auto map = detail::id_map_of(ids, first);
    const bool fits =
        map.size() <= detail::kIdLinesMax && proc_text(map).size() <= detail::kIdBytesMax;
    if (fits || kept.empty()) return map;
    kept.pop_back();
  }
}

}  // namespace sdk
}  // namespace cloud

#endif
