// SPDX-License-Identifier: Apache-2.0
//
// The control groups of a job's machine, in version 1 and 2. A path is relative to the root of a
// hierarchy; the same path is used in each (cgroup_path.hpp).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// Makes the group in every hierarchy (v1 through libcgroup), level by level; a cpuset of v1 gets
/// its parent's cpus and mems, as an empty one admits no process. In v2 it has no controllers: it
/// is below a group with a process of Slurm's in it, which can hand none on.
[[nodiscard]] Result<void> create_cgroup(const std::string& path);

/// At most so many groups below it, in v2, where the kernel can count them: whoever is given a
/// group makes others in it, and each is looked into at the job's end. What the kernel does not
/// take is left.
void bound_groups_below(const std::string& path, unsigned most);

/// Moves a process of one thread into the group in every hierarchy (v1 through libcgroup).
[[nodiscard]] Result<void> enter_cgroup(const std::string& path, pid_t pid);

/// The same for a process of many threads that may be making more of them: returns when each of
/// them is in the group, in every hierarchy.
[[nodiscard]] Result<void> enter_cgroup_with_threads(const std::string& path, pid_t pid);

/// Removes the group, what is below it, and what Slurm left of the job's because of it. v1: every
/// empty parent up to the user's (`.../uid_U`), under the lock that Slurm itself takes to make and
/// remove them; v2: every empty group of the job, and the job's own. Groups that still hold
/// processes stay. Never fails: returns the paths of ours that stayed. `limit` is for all the locks
/// together: anybody on the node may hold one, as the folders can be read.
std::vector<std::string> remove_job_cgroups(const std::string& path,
                                            std::chrono::milliseconds limit = std::chrono::seconds{
                                                5});

}  // namespace cloud
