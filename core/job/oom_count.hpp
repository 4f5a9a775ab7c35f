// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/job/cgroup_hierarchy.hpp"

namespace cloud {

/// How many processes of the group and of what is below it the kernel has killed for want of memory
/// (memory.oom_control of cgroup v1, memory.events.local of v2). In v2 those are counted where the
/// memory controller is: with a group that has none, in the nearest above that has it.
[[nodiscard]] std::uint64_t oom_kills(const std::string& cgroup,
                                      const CgroupHierarchies& hierarchies = cgroup_hierarchies());

}  // namespace cloud
