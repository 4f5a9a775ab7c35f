// SPDX-License-Identifier: Apache-2.0
//
// The file systems that were mounted for a machine alone, in its keeper's mount namespace: the
// overlay that it writes to, its memory. They live as long as anybody holds a file of theirs, and a
// task can hand one to a process outside of the machine, over a socket in the user's home.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// The mount namespace that the machine's file systems are mounted in, held open: the job's
/// keeper's, or where no keeper lives that of another process of root's in the machine's groups
/// which has them, as liblxc's monitor does. Empty where there is none. Before end_keeper().
[[nodiscard]] UniqueFd machine_mounts(const std::string& job_path,
                                      const std::string& machine_cgroup,
                                      const std::string& work_dir);

/// After the machine's processes have ended: empties what was in memory and lets nobody write to
/// any of it any more, for all that is mounted in the machine's folder and nowhere else on the
/// node. What the user's mounts show is left alone. Blame::node where something could not be shut.
[[nodiscard]] Result<void> shut_machine_layers(const UniqueFd& mounts, const std::string& work_dir,
                                               std::chrono::milliseconds limit);

/// A line of /proc/PID/mountinfo, as far as it is needed here.
struct MountLine {
  std::string device;  ///< "0:53": the file system
  std::string point;
  std::string type;
};

/// Those of a machine's own, of a keeper's mountinfo: in `work_dir`, of a type that we mount, not
/// in another of its own, and with a file system that is not in the node's mountinfo. Pure.
[[nodiscard]] std::vector<MountLine> machine_layers(const std::string& of_keeper,
                                                    const std::string& of_node,
                                                    const std::string& work_dir);

}  // namespace cloud
