// SPDX-License-Identifier: Apache-2.0
//
// Waits for a machine that is entered through ssh, from the first byte on its console to the end of
// its cloud-init, and gives up on one that shows no sign of life.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/error.hpp"
#include "core/job/request.hpp"
#include "core/machine/ssh_command.hpp"
#include "core/system/subprocess.hpp"

namespace cloud {

/// What the watch asks and tells.
struct BootSigns {
  std::function<bool()> cancelled;
  std::function<Result<void>()> alive;           ///< an error says how the machine ended
  std::function<std::uint64_t()> console_bytes;  ///< printed so far
  std::function<std::string()> console_tail;     ///< the last line, or ""
  std::function<void(const std::string&)> progress;
};

struct BootLimits {
  std::chrono::steady_clock::time_point deadline;
  std::chrono::seconds stall;  ///< how long a machine may be silent before its sshd answers
};

class BootWatch {
 public:
  BootWatch(SshTarget target, Credentials user, BootSigns signs, BootLimits limits);

  /// Returns when the level is reached: `boot` at the first sign of the machine's kernel, `ssh`
  /// when the shared connection of all sessions stands, `cloud_init` when cloud-init has finished.
  /// Levels are reached one after the other. Blame::node at a limit, with the last line of the
  /// console.
  [[nodiscard]] Result<void> wait_for(ReadyLevel level);

 private:
  enum class Answer { silent, refused, ssh };

  Result<void> wait_for_kernel();
  Result<void> wait_for_login();
  Result<void> wait_for_cloud_init();
  Result<void> check(const std::string& what);
  Result<void> pause(const std::string& what);
  [[nodiscard]] Result<Answer> knock(const std::string& what);
  Result<bool> log_in();
  [[nodiscard]] Result<int> status_of(const std::string& remote_command) const;
  void reached(const std::string& phase);
  [[nodiscard]] std::string tail() const;

  SshTarget target_;
  Credentials user_;
  BootSigns signs_;
  BootLimits limits_;
  bool is_up_ = false;
  bool is_entered_ = false;
  std::string login_problem_;
  std::uint64_t seen_bytes_ = 0;
  std::chrono::steady_clock::time_point last_sign_;
};

}  // namespace cloud
