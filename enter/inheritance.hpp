// SPDX-License-Identifier: Apache-2.0
//
// What a task would have inherited from the process that Slurm made for it: it is no child of that
// process in the machine, so root copies it.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "enter/machine_join.hpp"

namespace cloud {

struct Inheritance {
  TaskIdentity identity;
  std::vector<rlimit> limits;  ///< by resource
  int nice = 0;
  int scheduler = 0;       ///< SCHED_*
  std::vector<char> cpus;  ///< as sched_setaffinity(2) takes it
  long io_priority = 0;    ///< as ioprio_set(2) takes it
  std::string oom_score;   ///< of /proc/PID/oom_score_adj
  unsigned long personality = 0;
  std::string groups;                 ///< /proc/PID/cgroup
  std::uint64_t ignored_signals = 0;  ///< a bit for each, signal 1 the lowest
  bool no_new_privileges = false;
};

/// Of a process with `uid`; an error where it has another, real or effective. The groups are its
/// real gid and its supplementary ones: a set-gid program's are not the user's to hand on.
[[nodiscard]] Result<Inheritance> inheritance_of(pid_t pid, uid_t uid);

/// Takes on all but the identity, the ignored signals and the limit of descriptors, as root; that
/// one becomes no lower than it is.
[[nodiscard]] Result<void> take_on(const Inheritance& inherited);

/// Moves the calling process into the control groups of another, of /proc/PID/cgroup, in every
/// hierarchy.
[[nodiscard]] Result<void> join_groups(const std::string& groups);
/// Moves the calling process into one group, the same in every hierarchy.
[[nodiscard]] Result<void> join_group(const std::string& path);

}  // namespace cloud
