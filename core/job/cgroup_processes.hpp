// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// The processes in the group and below it, in any hierarchy; those that are found in the time.
[[nodiscard]] std::vector<pid_t> cgroup_processes(
    const std::string& path,
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());

/// Kills what is in the group and below until nothing is left, however fast it forks: a group is
/// frozen (v1) or killed as a whole (v2) where the caller itself is not inside. Blame::node at the
/// deadline, with the number of processes left.
[[nodiscard]] Result<void> kill_cgroup(const std::string& path, std::chrono::milliseconds limit);

}  // namespace cloud
