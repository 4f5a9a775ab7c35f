// SPDX-License-Identifier: Apache-2.0
#include "core/machine/subid_ranges.hpp"

#include <algorithm>
#include <set>
#include <sstream>

#include "core/job/text_split.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

constexpr std::uint32_t kRange = 65536;

std::uint32_t places_of(const SiteConfig& config) {
  return config.subid_count / kRange;
}

Error has_none(const SiteConfig& config, std::uint32_t uid) {
  return {Blame::site,
          "user " + std::to_string(uid) + " has no range of sub-ids: there are " +
              std::to_string(places_of(config)) + " (cloud.subid_count), for the uids from " +
              std::to_string(config.uid_first) +
              " (cloud.uid_first) on; set these two alike on all nodes, or name the user in "
              "a file that cloud.subid_map names"};
}

Result<std::uint32_t> place_of_user(const SiteConfig& config, std::uint32_t uid) {
  const auto map = read_subid_map(config);
  if (!map) return map.error();
  if (const auto own = map->find(uid); own != map->end()) return own->second;
  if (uid < config.uid_first || uid - config.uid_first >= places_of(config)) {
    return has_none(config, uid);
  }
  const auto place = uid - config.uid_first;
  const auto other =
      std::ranges::find_if(*map, [&](const auto& entry) { return entry.second == place; });
  if (other == map->end()) return place;
  return Error{Blame::site, "the range of sub-ids of user " + std::to_string(uid) +
                                " is given to user " + std::to_string(other->first) + " in " +
                                config.subid_map + ": give one of them a place of their own there"};
}

}  // namespace

bool is_subid(const SiteConfig& config, std::uint32_t id) {
  return id >= config.subid_first && id - config.subid_first < config.subid_count;
}

Result<SubidMap> parse_subid_map(const std::string& text, const std::string& name,
                                 std::uint32_t places) {
  SubidMap map;
  std::set<std::uint32_t> taken;
  std::size_t number = 0;
  for (const auto& whole : split(text, '\n')) {
    ++number;
    const auto line = whole.substr(0, whole.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto fail = [&](const std::string& why) {
      return Error{Blame::site, name + ":" + std::to_string(number) + ": " + why};
    };
    std::istringstream words{line};
    std::int64_t uid = -1;
    std::int64_t place = -1;
    std::string rest;
    if (!(words >> uid >> place) || words >> rest || uid <= 0 || uid >= 4294967295) {
      return fail("a line shall be 'UID PLACE', such as '200417 12'");
    }
    if (place < 0 || place >= places) {
      return fail("the place shall be 0 to " + std::to_string(places - 1) +
                  ": there are as many as cloud.subid_count has room for");
    }
    if (!taken.insert(static_cast<std::uint32_t>(place)).second) {
      return fail("place " + std::to_string(place) + " is given away above");
    }
    if (!map.emplace(uid, place).second)
      return fail("user " + std::to_string(uid) + " stands above");
  }
  return map;
}

Result<SubidMap> read_subid_map(const SiteConfig& config) {
  if (config.subid_map.empty()) return SubidMap{};
  // Who could write it would give one user's files to another.
  if (auto trusted = require_trusted(config.subid_map); !trusted) {
    return std::move(trusted).error().within("cloud.subid_map");
  }
  const auto text = read_file(config.subid_map);
  if (!text) return text.error();
  return parse_subid_map(*text, config.subid_map, places_of(config));
}

Result<std::uint32_t> subid_range_of(const SiteConfig& config, std::uint32_t uid,
                                     const std::vector<JobRecord>& records) {
  const auto place = place_of_user(config, uid);
  if (!place) return place.error();
  const auto first = config.subid_first + *place * kRange;
  const auto holder = std::ranges::find_if(records, [&](const JobRecord& record) {
    if (!record.machine || record.uid == uid) return false;
    const auto theirs = record.machine->subid_first;
    return std::max(first, theirs) - std::min(first, theirs) < kRange;
  });
  if (holder == records.end()) return first;
  return Error{Blame::busy,
               "the sub-ids of user " + std::to_string(uid) +
                   " are still those of a machine of user " + std::to_string(holder->uid) +
                   "'s, job " + std::to_string(holder->job_id) +
                   ", which was started when they were given out otherwise: wait for its end"};
}

}  // namespace cloud
