// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "core/error.hpp"

namespace cloud {

/// Sets the mode of an open file that another user than its owner shall be able to read: `mode`'s
/// bits for the owner are given to `reader` too, without the right to write, by a POSIX access list
/// (acl(5)), and nobody else has any. So the owner alone can change the file. Blame::node where the
/// file system has no such lists.
[[nodiscard]] Result<void> set_mode_with_reader(int fd, mode_t mode, uid_t reader);

}  // namespace cloud
