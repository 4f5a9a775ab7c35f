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

/// Asks the keeper of a job to end, kills it after `grace`, and waits. Success where none lives.
[[nodiscard]] Result<void> end_keeper(const std::string& job_path, std::chrono::milliseconds grace);

}  // namespace cloud
