// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/kvm/guest/task_files.hpp"

namespace cloud {

/// Runs the task of that request as a child in a session of its own, with this program's stdin,
/// stdout and stderr, and returns the exit status that a shell would give it. Nothing that the task
/// started outlives it, nor the ssh channel.
[[nodiscard]] Result<int> run_task(TaskFiles& files);

}  // namespace cloud
