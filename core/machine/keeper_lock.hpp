// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// Taken by the keeper for its life: who gets the lock knows that no keeper of the job lives. The
/// file holds the keeper's process id, which is its own as long as the lock is held.
[[nodiscard]] Result<UniqueFd> take_keeper_lock(const std::string& job_path);

/// The keeper's own group, in that of its machine.
[[nodiscard]] std::string keeper_cgroup(const std::string& machine_cgroup);

/// Asks the keeper of a job to end, kills it after `grace`, and waits. Success where none lives.
/// Nothing is signalled that is not in keeper_cgroup().
[[nodiscard]] Result<void> end_keeper(const std::string& job_path,
                                      const std::string& machine_cgroup,
                                      std::chrono::milliseconds grace);

}  // namespace cloud
