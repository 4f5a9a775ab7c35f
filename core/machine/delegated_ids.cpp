// SPDX-License-Identifier: Apache-2.0
#include "core/machine/delegated_ids.hpp"

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "core/job/text_split.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/harmless_text.hpp"

namespace cloud {
namespace {

// As newuidmap(1) reads it: also octal and hexadecimal.
std::optional<std::uint64_t> number(const std::string& text) {
  char* rest = nullptr;
  errno = 0;
  const auto value = std::strtoull(text.c_str(), &rest, 0);
  if (text.empty() || *rest != '\0' || errno != 0) return std::nullopt;
  return value;
}

}  // namespace

std::string delegation_among(std::string_view text, std::uint32_t first, std::uint32_t count) {
  std::size_t number_of_line = 0;
  for (const auto& line : split(std::string{text}, '\n')) {
    ++number_of_line;
    // "alice:100000:65536"
    const auto fields = split(line, ':');
    if (fields.size() < 3 || line.starts_with("#")) continue;
    const auto begin = number(fields[1]);
    const auto size = number(fields[2]);
    if (!begin || !size || *size == 0) continue;
    const bool overlaps =
        *begin < std::uint64_t{first} + count && (*begin >= first || first - *begin < *size);
    if (overlaps)
      return harmless_line(fields[0]) + " (line " + std::to_string(number_of_line) + ")";
  }
  return {};
}

Result<void> require_undelegated_subids(const SiteConfig& config) {
  for (const auto* file : {"/etc/subuid", "/etc/subgid"}) {
    const auto text = read_file(file);
    if (!text && text.error().os_errno == ENOENT) continue;
    if (!text) return text.error();
    const auto who = delegation_among(*text, config.subid_first, config.subid_count);
    if (who.empty()) continue;
    return Error{Blame::site, std::string{file} + " gives ids of machines to " + who +
                                  ", who could own others' machines with them: choose "
                                  "cloud.subid_first and subid_count where nobody has any, or take "
                                  "that line out"};
  }
  return {};
}

}  // namespace cloud
