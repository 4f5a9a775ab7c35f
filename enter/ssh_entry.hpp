// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/job/published_state.hpp"

namespace cloud {

/// What shall run in a machine that is entered through ssh.
struct RemoteTask {
  std::vector<std::string> command;
  std::string directory;
  std::string script;  ///< the text of a batch script that runs in the place of command[0], or ""
};

/// Runs the task in the machine, over the connection that the keeper has made, with this process's
/// stdin, stdout, stderr and terminal, its environment, umask and limits. Signals that this process
/// gets go to the task. Ends like the task; with 125 and a message where the machine is out of
/// reach.
[[noreturn]] void run_over_ssh(const PublishedState& state, const std::string& dir,
                               const RemoteTask& task);

}  // namespace cloud
