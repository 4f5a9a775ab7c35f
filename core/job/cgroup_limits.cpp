// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup_limits.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "core/job/cgroup_path.hpp"
#include "core/job/text_split.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

// v1 says "no limit" with the greatest number of pages that there can be.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 50;
constexpr std::size_t kLongest = 1 << 16;

// Where a controller is: a hierarchy of v1 that has it, or the one of v2.
Result<std::string> root_of(std::string_view controller, const CgroupHierarchies& hierarchies) {
  const bool unified = is_unified(hierarchies);
  for (const auto& one : hierarchies) {
    if (unified ? one.is_v2() : one.has(controller)) return one.mount_point;
  }
  return Error{Blame::node, "no cgroup controller '" + std::string{controller} + "' is mounted"};
}

Result<std::string> first_line(const std::string& file) {
  auto text = read_file(file, kLongest);
  if (!text) return std::move(text).error();
  return text->substr(0, text->find('\n'));
}

}  // namespace

Result<std::string> cpus_of_group(const std::string& path, const CgroupHierarchies& hierarchies) {
  const auto root = root_of("cpuset", hierarchies);
  if (!root) return root.error();
  if (!is_unified(hierarchies)) return first_line(*root + path + "/cpuset.cpus");
  // A group that its parent hands no controllers on to has its parent's CPUs, and no file to say
  // so.
  for (auto group = path;; group.resize(group.rfind('/'))) {
    auto cpus = first_line(*root + group + "/cpuset.cpus.effective");
    if (cpus || cpus.error().os_errno != ENOENT || group.rfind('/') == std::string::npos) {
      return cpus;
    }
  }
}

Result<std::optional<std::uint64_t>> memory_limit_of_job(const std::string& path,
                                                         const CgroupHierarchies& hierarchies) {
  const auto root = root_of("memory", hierarchies);
  if (!root) return root.error();
  const auto* name = is_unified(hierarchies) ? "/memory.max" : "/memory.limit_in_bytes";
  const auto text = first_line(*root + job_cgroup_path(path) + name);
  if (!text) return text.error();
  if (*text == "max") return std::optional<std::uint64_t>{};
  const auto bytes = std::strtoull(text->c_str(), nullptr, 10);
  if (bytes == 0 || bytes >= kNoLimit) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>{bytes};
}

std::uint32_t count_cpu_list(std::string_view list) {
  std::uint32_t count = 0;
  for (const auto& part : split(list, ',')) {
    std::uint32_t first = 0;
    const char* end = part.data() + part.size();
    const auto [after, failure] = std::from_chars(part.data(), end, first);
    if (failure != std::errc{}) continue;
    std::uint32_t last = first;
    if (after != end && *after == '-') std::from_chars(after + 1, end, last);
    if (last >= first) count += last - first + 1;
  }
  return count;
}

}  // namespace cloud
