// SPDX-License-Identifier: Apache-2.0
//
// What Slurm has allotted to a job, as its control groups say it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/job/cgroup_hierarchy.hpp"

namespace cloud {

/// The list of CPUs, such as "0-3,8", that processes in the group run on.
[[nodiscard]] Result<std::string> cpus_of_group(
    const std::string& path, const CgroupHierarchies& hierarchies = cgroup_hierarchies());

/// How many bytes all processes of the job may have together, by a path in the job's group; nullopt
/// where Slurm sets no limit.
[[nodiscard]] Result<std::optional<std::uint64_t>> memory_limit_of_job(
    const std::string& path, const CgroupHierarchies& hierarchies = cgroup_hierarchies());

/// How many CPUs a list such as "0-3,8" names.
[[nodiscard]] std::uint32_t count_cpu_list(std::string_view list);

}  // namespace cloud
