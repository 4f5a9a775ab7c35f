// SPDX-License-Identifier: Apache-2.0
//
// The half of `escort` that is the job's user, in the machine.
#pragma once

#include "enter/inheritance.hpp"

namespace cloud {

/// Takes what `enter` hands over through `socket`, starts the task as a process of the machine's,
/// passes signals on to it, and says how it has ended. The task does not outlive the connection,
/// nor this process. Returns the exit status of this process.
[[nodiscard]] int run_task_for(int socket, const Inheritance& inherited);

}  // namespace cloud
