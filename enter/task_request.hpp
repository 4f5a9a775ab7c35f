// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/machine/guest_request.hpp"

namespace cloud {

/// A task that is about to go into a machine.
struct TaskOrder {
  std::vector<std::string> command;  ///< at least argv[0]
  std::string directory;             ///< where it begins, if the machine has it
};

/// With this process's environment, umask and soft limits.
[[nodiscard]] GuestRequest request_of(const TaskOrder& task);

}  // namespace cloud
