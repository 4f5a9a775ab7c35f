// SPDX-License-Identifier: Apache-2.0
//
// A folder of what is still to be removed: a user may leave more files in a machine than an epilog
// has time for, and the node shall be free again.
#pragma once

#include <chrono>
#include <string>

#include "core/error.hpp"
#include "core/system/tree_removal.hpp"

namespace cloud {

/// remove_tree() for as long as `limit`. What is left then, for whatever reason, goes into the
/// folder `trash`, on the same file system, so that the name is free; a process that the caller
/// does not wait for empties that at the lowest priority.
[[nodiscard]] Result<void> remove_or_discard(const std::string& path, const std::string& trash,
                                             std::chrono::milliseconds limit,
                                             const TreeOwners& owners = {});

/// Removes all that is in the folder, however long it takes; success where another process is at
/// it, or there is no such folder. What holds a stranger's folder goes beside the trash, into
/// `quarantine`, where an administrator can look at it.
[[nodiscard]] Result<void> empty_trash(const std::string& trash);

/// Where something is in the folder: lets a process that the caller does not wait for empty it.
/// One readdir(3) where nothing is.
void tend_trash(const std::string& trash);

}  // namespace cloud
