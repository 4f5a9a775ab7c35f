// SPDX-License-Identifier: Apache-2.0
//
// The control groups that Slurm made for a job, and ours below them. A path here is relative to the
// root of a hierarchy ("/slurm_n1/uid_1000/job_5/step_extern"); the same path is used in each.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// One mounted hierarchy.
struct CgroupHierarchy {
  std::string mount_point;
  std::vector<std::string> controllers;  ///< v1: "memory", "cpu", "name=systemd"; empty for v2
};

/// The mounted v1 hierarchies and the v2 one, from /proc/self/mountinfo.
[[nodiscard]] std::vector<CgroupHierarchy> cgroup_hierarchies();

/// The path of the extern step of that job in /proc/PID/cgroup text, whichever controller names it:
/// ".../job_<id>/step_extern". Pure. Blame::node where no line has it.
[[nodiscard]] Result<std::string> extern_step_path(std::string_view proc_cgroup_text,
                                                   std::uint64_t job_id);

/// Where a job's machine and its keeper live: "<extern step>/task_0/cloud" where Slurm's accounting
/// made task_0 (it charges a step by its tasks' groups), else "<extern step>/cloud".
[[nodiscard]] std::string machine_cgroup_path(const std::string& extern_step);

/// The group of machine_cgroup_path() that exists for this job on this node; "" where there is
/// none. For a job whose record is lost, and with it its user where `uid` is std::nullopt.
[[nodiscard]] std::string find_machine_cgroup(const std::string& node,
                                              std::optional<std::uint32_t> uid,
                                              std::uint64_t job_id);

/// Makes the group in every hierarchy (v1 through libcgroup), level by level; a cpuset gets its
/// parent's cpus and mems, as an empty one admits no process.
[[nodiscard]] Result<void> create_cgroup(const std::string& path);

/// Moves a process of one thread into the group in every hierarchy (v1 through libcgroup).
[[nodiscard]] Result<void> enter_cgroup(const std::string& path, pid_t pid);

/// The same for a process of many threads that may be making more of them: returns when each of
/// them is in the group, in every hierarchy.
[[nodiscard]] Result<void> enter_cgroup_with_threads(const std::string& path, pid_t pid);

/// The processes in the group and below it, in any hierarchy.
[[nodiscard]] std::vector<pid_t> cgroup_processes(const std::string& path);

/// Thaws the group, and kills what is in it and below until nothing is left. Blame::node at the
/// deadline, with the number of processes left.
[[nodiscard]] Result<void> kill_cgroup(const std::string& path, std::chrono::milliseconds limit);

/// Removes the group, what is below it, and every empty parent up to the job's own user folder
/// (`.../uid_U`), in each hierarchy, under the lock that Slurm itself takes to make and remove
/// them. Groups that still hold processes stay. Never fails: returns the paths that stayed.
std::vector<std::string> remove_job_cgroups(const std::string& path);

/// A value of the job's group, without its newline: cgroup_value("memory", path,
/// "memory.limit_in_bytes").
[[nodiscard]] Result<std::string> cgroup_value(std::string_view controller, const std::string& path,
                                               std::string_view file);

/// How many CPUs a list such as "0-3,8" names.
[[nodiscard]] std::uint32_t count_cpu_list(std::string_view list);

}  // namespace cloud
