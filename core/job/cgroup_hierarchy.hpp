// SPDX-License-Identifier: Apache-2.0
//
// What is mounted of control groups: version 1 has a hierarchy for each controller or a few,
// version 2 one for all. A node may have both ("hybrid"): there Slurm uses version 1, and version 2
// is empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cloud {

/// One mounted hierarchy.
struct CgroupHierarchy {
  std::string mount_point;
  std::vector<std::string> controllers;  ///< v1: "memory", "cpu", "name=systemd"; empty for v2

  [[nodiscard]] bool is_v2() const { return controllers.empty(); }
  /// Of version 1 and without a controller: some service's own book of processes.
  [[nodiscard]] bool is_named() const;
  /// As /proc/PID/cgroup has it: "cpu,cpuacct", "name=systemd"; "" for v2.
  [[nodiscard]] std::string names() const;
  /// Of version 1 and with that controller.
  [[nodiscard]] bool has(std::string_view controller) const;
};

using CgroupHierarchies = std::vector<CgroupHierarchy>;

/// The mounted v1 hierarchies and the v2 one, from /proc/self/mountinfo.
[[nodiscard]] CgroupHierarchies cgroup_hierarchies();

/// Whether version 2 has the controllers, as version 1 has none.
[[nodiscard]] bool is_unified(const CgroupHierarchies& hierarchies);

}  // namespace cloud
