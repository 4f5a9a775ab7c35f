// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup_hierarchy.hpp"

#include <algorithm>
#include <fstream>

#include "core/job/text_split.hpp"

namespace cloud {

bool CgroupHierarchy::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::string CgroupHierarchy::names() const {
  std::string names;
  for (const auto& name : controllers) names += (names.empty() ? "" : ",") + name;
  return names;
}

bool CgroupHierarchy::is_named() const {
  return !controllers.empty() && controllers.front().starts_with("name=");
}

CgroupHierarchies cgroup_hierarchies() {
  CgroupHierarchies found;
  std::ifstream mounts{"/proc/self/mountinfo"};
  for (std::string line; std::getline(mounts, line);) {
    // 36 35 98:0 / /mount/point rw,noatime - cgroup cgroup rw,memory
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || std::distance(dash, fields.end()) < 4) continue;
    const auto& type = dash[1];
    if (type != "cgroup" && type != "cgroup2") continue;
    if (fields[3] != "/") continue;
    CgroupHierarchy hierarchy{fields[4], {}};
    const auto known = [&](const CgroupHierarchy& other) {
      return other.mount_point == hierarchy.mount_point;
    };
    if (std::any_of(found.begin(), found.end(), known)) continue;
    if (type == "cgroup") {
      for (const auto& option : split(dash[3], ',')) {
        const bool is_flag = option == "rw" || option == "ro" || option == "xattr" ||
                             option == "clone_children" || option == "noprefix" ||
                             option == "cpuset_v2_mode" || option.starts_with("release_agent=");
        if (!is_flag) hierarchy.controllers.push_back(option);
      }
      if (hierarchy.controllers.empty()) continue;
    }
    found.push_back(std::move(hierarchy));
  }
  return found;
}

bool is_unified(const CgroupHierarchies& hierarchies) {
  const auto is_v2 = [](const CgroupHierarchy& one) { return one.is_v2(); };
  const auto has_controllers = [](const CgroupHierarchy& one) {
    return !one.is_v2() && !one.is_named();
  };
  return std::any_of(hierarchies.begin(), hierarchies.end(), is_v2) &&
         std::none_of(hierarchies.begin(), hierarchies.end(), has_controllers);
}

}  // namespace cloud
