// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloud {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  bool is_zombie = false;
  std::string command;  ///< its arguments, separated by blanks; "" where it has none
};

/// The letter that proc(5) has for its state, such as 'R', 'T' or 'Z'; '\0' where it has ended.
[[nodiscard]] char state_of(pid_t pid);

/// 0 where it has ended.
[[nodiscard]] pid_t parent_of(pid_t pid);

/// The processes that /proc shows.
[[nodiscard]] std::vector<ProcessEntry> all_processes();

/// Those below `ancestor`. Whatever a backend leaves running is below the suite, which is a
/// subreaper, unless a daemon of somebody else's made it.
[[nodiscard]] std::vector<ProcessEntry> descendants_of(pid_t ancestor,
                                                       const std::vector<ProcessEntry>& all);

/// "1234 (sleep 60)", for messages.
[[nodiscard]] std::string describe(const ProcessEntry& process);

/// Kills everything below this process and reaps it, until nothing is left or for a second.
void kill_descendants();

}  // namespace cloud
