// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/error.hpp"

namespace cloud {

/// Whose folders a removal may empty, besides root's: what somebody else owns is there because
/// somebody has moved it there, and is not ours to remove.
struct TreeOwners {
  std::uint32_t first = 0;  ///< of a range of ids, as a machine's
  std::uint32_t count = 0;
  std::optional<std::uint32_t> user = {};  ///< one account besides: the machine's user

  [[nodiscard]] bool has(uid_t uid) const noexcept {
    return uid == 0 || (uid >= first && uid - first < count) || uid == user;
  }
};

/// Removes a directory tree, however deep, without following symbolic links. What is mounted in it
/// is detached, and not entered. A folder of a stranger's stays, with the way to it: then the rest
/// is gone, and the error has os_errno EPERM and names the folder. Absent is success. May be killed
/// and called again. Blame::node; os_errno ETIMEDOUT at the deadline, when a part is left.
[[nodiscard]] Result<void> remove_tree(
    const std::string& path,
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max(),
    const TreeOwners& owners = {});

}  // namespace cloud
