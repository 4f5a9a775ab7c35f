// SPDX-License-Identifier: Apache-2.0
#include "core/job/oom_count.hpp"

#include <filesystem>
#include <fstream>
namespace cloud {
namespace {

namespace fs = std::filesystem;

std::uint64_t kills_in(const fs::path& group) {
  std::uint64_t most = 0;
  for (const auto* name : {"memory.oom_control", "memory.events.local"}) {
    std::ifstream file{group / name};
    std::string key;
    for (std::uint64_t value = 0; file >> key >> value;) {
      if (key == "oom_kill" && value > most) most = value;
    }
  }
  return most;
}

// Never the root's own, which counts nobody of ours.
fs::path counting_group(const CgroupHierarchy& hierarchy, std::string cgroup) {
  fs::path own{hierarchy.mount_point + cgroup};
  if (!hierarchy.is_v2()) return own;
  std::error_code problem;
  for (; !cgroup.empty(); cgroup.resize(cgroup.rfind('/'))) {
    fs::path group{hierarchy.mount_point + cgroup};
    if (fs::exists(group / "memory.events.local", problem)) return group;
  }
  return own;
}

}  // namespace

std::uint64_t oom_kills(const std::string& cgroup, const CgroupHierarchies& hierarchies) {
  std::uint64_t total = 0;
  for (const auto& hierarchy : hierarchies) {
    const auto group = counting_group(hierarchy, cgroup);
    std::error_code problem;
    total += kills_in(group);
    for (const auto& below : fs::recursive_directory_iterator{group, problem}) {
      if (below.is_directory(problem)) total += kills_in(below.path());
    }
  }
  return total;
}

}  // namespace cloud
