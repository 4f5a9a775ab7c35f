// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// Whose place a worker takes: a hook's (prolog, epilog), or the keeper's, which has a mount
/// namespace of its own and is in the machine's cgroup.
enum class Role { hook, keeper };

/// A process that calls into a backend, so that nothing that the backend does to its process, a
/// crash included, reaches the suite. It leads a process group of its own.
class Worker {
 public:
  using Body = std::function<Result<std::string>()>;

  /// `cgroup`: the machine's, for a keeper.
  [[nodiscard]] static Result<Worker> start(Role role, const std::string& cgroup, const Body& body);
  Worker(Worker&& other) noexcept;
  Worker& operator=(Worker&&) = delete;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  ///< kills what still runs

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool has_ended() const noexcept;
  /// What the body returned; where the process died, how and in which call.
  [[nodiscard]] Result<std::string> wait();
  /// kill -9 of it alone, or with all of its group.
  void kill(bool whole_group);

 private:
  Worker(pid_t pid, UniqueFd answer) noexcept : pid_{pid}, answer_{std::move(answer)} {}

  pid_t pid_;
  UniqueFd answer_;
};

/// Runs the body in a worker and waits for it.
[[nodiscard]] Result<std::string> in_worker(Role role, const std::string& cgroup,
                                            const Worker::Body& body);

}  // namespace cloud
