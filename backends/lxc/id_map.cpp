// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/id_map.hpp"

#include <algorithm>
#include <set>

namespace cloud::lxc {
namespace {

constexpr std::uint32_t kRange = 65536;
// The kernel's: of lines, and of the bytes of one write (a page, less the end).
constexpr std::size_t kLinesMax = 340;
constexpr std::size_t kBytesMax = 4095;

std::vector<IdRange> map_of(const std::set<std::uint32_t>& own, std::uint32_t first) {
  std::vector<IdRange> map;
  std::uint32_t next = 0;
  for (const auto id : own) {
    if (id < kRange && id > next) map.push_back({next, first + next, id - next});
    if (id < kRange) next = id + 1;
    if (id >= kRange && next < kRange) {
      map.push_back({next, first + next, kRange - next});
      next = kRange;
    }
    map.push_back({id, id, 1});
  }
  if (next < kRange) map.push_back({next, first + next, kRange - next});
  return map;
}

}  // namespace

std::vector<IdRange> make_id_map(const std::vector<std::uint32_t>& own, std::uint32_t first) {
  auto kept = own;
  for (;;) {
    std::set<std::uint32_t> ids{kept.begin(), kept.end()};
    ids.erase(0);
    auto map = map_of(ids, first);
    const bool fits = map.size() <= kLinesMax && proc_text(map).size() <= kBytesMax;
    if (fits || kept.empty()) return map;
    kept.pop_back();
  }
}

std::string proc_text(const std::vector<IdRange>& map) {
  std::string text;
  for (const auto& range : map) {
    text += std::to_string(range.inside) + " " + std::to_string(range.outside) + " " +
            std::to_string(range.count) + "\n";
  }
  return text;
}

}  // namespace cloud::lxc
