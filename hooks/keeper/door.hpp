// SPDX-License-Identifier: Apache-2.0
//
// How a job's user gets into a container by hand: `enter` connects to `<dir>/door`, and a process
// of root's takes it there (`escort`), in the job's control groups.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

class Door {
 public:
  /// Of the job's machine whose published folder is `dir`, for `uid` alone. `cgroup` is the group
  /// of who comes in; it is made with the first one.
  [[nodiscard]] static Result<Door> open(const std::string& dir, std::uint64_t job_id, uid_t uid,
                                         std::string cgroup);

  /// What becomes readable when somebody knocks.
  [[nodiscard]] int fd() const noexcept { return listener_.value(); }
  /// Lets one in, or sends it away.
  void answer();

 private:
  Door() = default;
  [[nodiscard]] Result<void> let_in(int connection, pid_t asker);
  void forget_ended();

  std::string dir_;
  std::uint64_t job_id_ = 0;
  uid_t uid_ = 0;
  unsigned strangers_ = 0;  ///< that have been sent away
  std::string cgroup_;
  UniqueFd listener_;
  std::vector<pid_t> escorts_;  ///< children of ours that have not ended yet
};

}  // namespace cloud
