// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "enter/task_request.hpp"

namespace cloud {

/// Runs the task in the machine with this process's descriptors, environment, umask and memory
/// policy, and a terminal of the machine's in the place of ours. Signals that this process gets go
/// to the task. Ends like the task; with 125 and a message where it is not let in.
///
/// `escort`: the connection to the process that takes the task there, which a step's task has from
/// its birth; -1 to ask the machine's keeper for one. `script`: a descriptor of a batch script to
/// run in the place of the command, or -1.
[[noreturn]] void run_in_namespaces(const std::string& dir, int escort, const TaskOrder& task,
                                    int script);

}  // namespace cloud
