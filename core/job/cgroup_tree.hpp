// SPDX-License-Identifier: Apache-2.0
//
// The groups below a job's cgroup. Some are delegated to the machine, whose user makes what it
// likes in there: any depth, any name, and changes while it is being read.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace cloud {

/// A group, open, with the one that it is in. `name` is its last component.
struct CgroupVisit {
  int group = -1;
  int parent = -1;
  std::string name;
};

/// Visits `folder` and every group below, children before their parent; each may be removed then.
/// Returns whether all were seen: not where something vanished or moved meanwhile, cannot be
/// opened, or the time is over. A `folder` that does not exist has been seen.
[[nodiscard]] bool visit_cgroups(
    const std::string& folder, const std::function<void(const CgroupVisit&)>& visit,
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());

}  // namespace cloud
