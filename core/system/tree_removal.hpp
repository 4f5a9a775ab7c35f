// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "core/error.hpp"

namespace cloud {

/// Removes a directory tree, however deep, without following symbolic links or crossing mounts;
/// absent is success. May be killed and called again. Blame::node; os_errno ETIMEDOUT at the
/// deadline, when a part is left.
[[nodiscard]] Result<void> remove_tree(
    const std::string& path,
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());

}  // namespace cloud
