// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/job/record.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// The job's user as the node's directory knows it: home, shell, groups and their names.
[[nodiscard]] Result<MachineUser> look_up_user(const JobRecord& record);

/// Opens a folder or file with the user's own rights (fsuid, fsgid, groups), as O_PATH: root
/// follows no path that the user can change, and a root-squashed file system answers. Blame::user.
/// The process shall have one thread.
[[nodiscard]] Result<UniqueFd> open_as_user(const MachineUser& user, const std::string& path,
                                            const std::string& what = "mount source");

/// Reads a regular file of at most `limit` bytes as the user, in a process that is the user's from
/// the opening to the end: what the kernel shows to root alone it does not show then. Blame::user.
[[nodiscard]] Result<std::string> read_as_user(const MachineUser& user, const std::string& path,
                                               const std::string& what, std::size_t limit);

}  // namespace cloud
