// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

namespace cloud {

/// Whether a signal that Slurm sends to the task's process is for the task in the machine.
[[nodiscard]] bool is_handed_on(int number);

/// Blocks those signals and SIGCHLD, for sigtimedwait(2).
[[nodiscard]] sigset_t block_task_signals();

/// Default dispositions and an empty mask, for a program that is about to be executed.
void restore_default_signals();

/// Ends this process as a task with that wait status has ended: Slurm reports the signal that a
/// task has died of.
[[noreturn]] void end_like(int wait_status);

}  // namespace cloud
