// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// What a program prints on stdout and stderr. An error where it cannot be run, does not end in
/// time, or fails; then with its last line.
[[nodiscard]] Result<std::string> output_of(const std::vector<std::string>& argv,
                                            std::chrono::milliseconds limit);

/// Where the shell would find a program; "" where it is not installed.
[[nodiscard]] std::string find_program(const std::string& name);

}  // namespace cloud
