// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// Whether what the descriptor `source` stands for can be mounted into a machine: it neither
/// contains nor lies in one of the engine's own folders, where other machines' files are, and this
/// one's own. Goes by the folders themselves, whatever names lead there. Blame::user; `what` begins
/// the message.
[[nodiscard]] Result<void> require_foreign_source(int source, const std::vector<std::string>& own,
                                                  const std::string& what);

/// How many mounts a copy of it consists of, with what is mounted below. Takes the text of
/// /proc/self/mountinfo; `path` is the source's, as /proc/self/fd has it. Pure.
[[nodiscard]] std::size_t count_mounts(const std::string& mountinfo, const std::string& path);

/// Of an open file, as the kernel names it now; "" where it cannot.
[[nodiscard]] std::string path_of_descriptor(int fd);

}  // namespace cloud
