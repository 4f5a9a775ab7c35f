// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

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

/// The process id of the job's keeper, 0 where none lives. Root's word: the lock file's, and the
/// process is in keeper_cgroup().
[[nodiscard]] pid_t living_keeper(const std::string& job_path, const std::string& machine_cgroup);

/// Asks the keeper of a job to end, kills it after `grace`, and waits for its end as long as
/// `limit`. Success where none lives. Nothing is signalled that is not in keeper_cgroup().
[[nodiscard]] Result<void> end_keeper(const std::string& job_path,
                                      const std::string& machine_cgroup,
                                      std::chrono::milliseconds grace,
                                      std::chrono::milliseconds limit);

}  // namespace cloud
