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

}  // namespace cloud
