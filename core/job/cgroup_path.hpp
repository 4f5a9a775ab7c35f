// SPDX-License-Identifier: Apache-2.0
//
// Where Slurm puts a job's control groups, and where ours are. A path is relative to the root of a
// hierarchy and the same in each:
//   v1  /slurm_<node>/uid_<U>/job_<N>/step_extern/task_0
//   v2  /system.slice/<node>_slurmstepd.scope/job_<N>/step_extern/user/task_0
// In v2 the slurmstepd is in step_extern/slurm, what Slurm limits, suspends and counts in
// step_extern/user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/job/cgroup_hierarchy.hpp"

namespace cloud {

/// The path of the extern step of that job in /proc/PID/cgroup text, whichever controller names it:
/// ".../job_<id>/step_extern". Pure. Blame::node where no line has it.
[[nodiscard]] Result<std::string> extern_step_path(std::string_view proc_cgroup_text,
                                                   std::uint64_t job_id);

/// The job's own group, ".../job_<id>", of a path below its extern step. Pure.
[[nodiscard]] std::string job_cgroup_path(const std::string& path);

/// Where a job's machine and its keeper live: "cloud" in the task's group of the extern step, which
/// is what Slurm's accounting charges to the step, else as near to it as there is a group.
[[nodiscard]] std::string machine_cgroup_path(
    const std::string& extern_step, const CgroupHierarchies& hierarchies = cgroup_hierarchies());

/// The job's own group on this node, ".../job_<id>"; "" where there is none.
[[nodiscard]] std::string find_job_cgroup(
    const std::string& node, std::uint64_t job_id,
    const CgroupHierarchies& hierarchies = cgroup_hierarchies());

/// The group of machine_cgroup_path() that exists for this job on this node; "" where there is
/// none. For a job whose record is lost, and with it its user where `uid` is std::nullopt.
[[nodiscard]] std::string find_machine_cgroup(
    const std::string& node, std::optional<std::uint32_t> uid, std::uint64_t job_id,
    const CgroupHierarchies& hierarchies = cgroup_hierarchies());

}  // namespace cloud
