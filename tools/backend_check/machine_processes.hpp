// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <set>
#include <string>

namespace cloud {

/// The processes of machines that are being made, as anybody sees them, and often enough in a
/// millisecond to see those that live no longer. Only what has begun after this was made is looked
/// at.
class MachineProcesses {
 public:
  using Belongs = std::function<bool(pid_t)>;

  /// `belongs`: whether the process is one of a machine. What such a process has started is, too.
  explicit MachineProcesses(Belongs belongs);

  [[nodiscard]] const std::set<pid_t>& find();

 private:
  Belongs belongs_;
  std::set<pid_t> before_;
  std::set<pid_t> found_;
};

/// Whether the process is in the machine's control group, or below it, or speaks of its name.
[[nodiscard]] bool is_of_machine(pid_t pid, const std::string& cgroup, const std::string& name);

}  // namespace cloud
