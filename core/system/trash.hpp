// SPDX-License-Identifier: Apache-2.0
//
// A folder of what is still to be removed: a user may leave more files in a machine than an epilog
// has time for, and the node shall be free again.
#pragma once

#include <chrono>
#include <string>

#include "core/error.hpp"

namespace cloud {

/// remove_tree() for as long as `limit`. What is left then goes into the folder `trash`, on the
/// same file system, and a process that the caller does not wait for empties that at the lowest
/// priority.
[[nodiscard]] Result<void> remove_or_discard(const std::string& path, const std::string& trash,
                                             std::chrono::milliseconds limit);

/// Removes all that is in the folder, however long it takes; success where another process is at
/// it, or there is no such folder.
[[nodiscard]] Result<void> empty_trash(const std::string& trash);

}  // namespace cloud
