// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/job/published_state.hpp"

namespace cloud {

/// Waits until the machine is ready. After 2 s, and then every 10 s, says on stderr what it is
/// waiting for. An error where the machine has failed, has ended, or its state is gone.
[[nodiscard]] Result<PublishedState> wait_until_ready(const std::string& dir);

/// Joins the machine's namespaces with the caller's own rights: its user namespace belongs to the
/// job's user. Children of the caller are processes of the machine.
[[nodiscard]] Result<void> join_machine(const PublishedState& state);

/// Opens a script of the host and returns a name of it that also works in the machine, "" where it
/// cannot be opened. The descriptor stays open in the task: the interpreter reads from it.
[[nodiscard]] std::string open_script(const std::string& path);

/// Runs a program in the machine as a child with the caller's ids, files and environment, hands on
/// the signals that the caller gets, and ends as the child has ended. `command` is looked up in the
/// machine's PATH. Never returns.
[[noreturn]] void run_in_machine(const char* command, char** argv, const std::string& directory);

}  // namespace cloud
