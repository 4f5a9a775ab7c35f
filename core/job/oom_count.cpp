// SPDX-License-Identifier: Apache-2.0
#include "core/job/oom_count.hpp"

#include <filesystem>
#include <fstream>

#include "core/job/cgroup_hierarchy.hpp"

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

}  // namespace

std::uint64_t oom_kills(const std::string& cgroup) {
  std::uint64_t total = 0;
  for (const auto& hierarchy : cgroup_hierarchies()) {
    const fs::path group{hierarchy.mount_point + cgroup};
    std::error_code problem;
    total += kills_in(group);
    for (const auto& below : fs::recursive_directory_iterator{group, problem}) {
      if (below.is_directory(problem)) total += kills_in(below.path());
    }
  }
  return total;
}

}  // namespace cloud
