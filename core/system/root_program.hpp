// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// Starts a program of ours as root, from a process of another's: with no variable, signal mask or
/// descriptor of that process, but `connection` as number 3 where it is not -1. argv[0] is its
/// path. The caller waits for it.
[[nodiscard]] Result<pid_t> start_root_program(const std::vector<std::string>& argv,
                                               int connection = -1);

}  // namespace cloud
