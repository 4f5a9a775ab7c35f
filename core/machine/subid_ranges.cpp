// SPDX-License-Identifier: Apache-2.0
#include "core/machine/subid_ranges.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>

#include "core/log.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

constexpr std::uint32_t kRange = 65536;

struct Owned {
  std::uint32_t first = 0;
  std::uint32_t uid = 0;
};

Result<std::vector<Owned>> load(const std::string& file) {
  std::vector<Owned> owned;
  const auto text = read_file(file);
  if (!text) {
    if (text.error().os_errno == ENOENT) return owned;
    return text.error();
  }
  std::istringstream lines{*text};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    Owned entry;
    if (words >> entry.first >> entry.uid) {
      owned.push_back(entry);
    } else {
      log_line(LogLevel::warn, file + ": the line '" + printable(line) + "' is no 'FIRST UID'");
    }
  }
  return owned;
}

Result<std::uint32_t> save(const std::string& file, const std::vector<Owned>& owned) {
  std::string text;
  for (const auto& entry : owned) {
    text += std::to_string(entry.first) + " " + std::to_string(entry.uid) + "\n";
  }
  if (auto written = write_file(file, text, {.mode = 0600, .owner = {}}); !written) {
    return std::move(written).error();
  }
  return owned.back().first;
}

bool is_configured(const SiteConfig& config, std::uint32_t first) {
  return is_subid(config, first) && (first - config.subid_first) % kRange == 0;
}

}  // namespace

bool is_subid(const SiteConfig& config, std::uint32_t id) {
  return id >= config.subid_first && id - config.subid_first < config.subid_count;
}

Result<std::uint32_t> take_subid_range(const SiteConfig& config, const std::string& file,
                                       std::uint32_t uid, const std::vector<JobRecord>& records) {
  auto loaded = load(file);
  if (!loaded) return std::move(loaded).error();
  auto& owned = *loaded;
  std::set<std::uint32_t> in_use;
  for (const auto& record : records) {
    if (record.machine && record.uid != uid) in_use.insert(record.machine->subid_first);
  }
  std::set<std::uint32_t> given;
  for (const auto& entry : owned) {
    const bool is_usable = is_configured(config, entry.first) && in_use.count(entry.first) == 0;
    if (entry.uid == uid && is_usable) return entry.first;
    given.insert(entry.first);
  }
  for (std::uint32_t slot = 0; slot < config.subid_count / kRange; ++slot) {
    const auto first = config.subid_first + slot * kRange;
    if (given.count(first) != 0 || in_use.count(first) != 0) continue;
    owned.push_back({first, uid});
    return save(file, owned);
  }
  const auto oldest = std::find_if(owned.begin(), owned.end(), [&](const Owned& entry) {
    return is_configured(config, entry.first) && in_use.count(entry.first) == 0;
  });
  if (oldest == owned.end()) {
    return Error{Blame::busy,
                 "no range of sub-ids left on this node: machines hold all of cloud.subid_count"};
  }
  log_line(LogLevel::warn, "sub-ids from " + std::to_string(oldest->first) + " pass from user " +
                               std::to_string(oldest->uid) + " to user " + std::to_string(uid) +
                               ": raise cloud.subid_count");
  const Owned passed{oldest->first, uid};
  owned.erase(oldest);
  owned.push_back(passed);
  return save(file, owned);
}

}  // namespace cloud
