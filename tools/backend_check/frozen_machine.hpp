// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// A machine that hangs: its first processes, as info() names them, and all below them are stopped
/// (SIGSTOP) for as long as this lives, or until the limit, so that a call that waits for the
/// machine without an end returns nevertheless, and can be told so. What looks after the machine
/// outside of it goes on.
class FrozenMachine {
 public:
  FrozenMachine(const std::vector<pid_t>& first, std::chrono::milliseconds limit);
  ~FrozenMachine();
  FrozenMachine(const FrozenMachine&) = delete;
  FrozenMachine& operator=(const FrozenMachine&) = delete;

  /// The number of one that has not ended; 0 where all have.
  [[nodiscard]] pid_t living() const;

 private:
  struct Stopped {
    pid_t pid = 0;
    UniqueFd process;  ///< a pidfd: the number may come to mean another
  };
  [[nodiscard]] bool stop_more(const std::vector<pid_t>& first);
  void thaw() const noexcept;

  std::vector<Stopped> stopped_;
  std::mutex mutex_;
  std::condition_variable_any over_;
  std::jthread limiter_;
};

}  // namespace cloud
