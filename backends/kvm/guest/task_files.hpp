// SPDX-License-Identifier: Apache-2.0
//
// The files of a user's tasks in the machine, in a folder that is theirs alone. A task is known by
// a token that nobody can guess.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

class TaskFiles {
 public:
  /// A new task; makes the user's folder where it is not there yet.
  [[nodiscard]] static Result<TaskFiles> make();
  /// The task of that token.
  [[nodiscard]] static Result<TaskFiles> find(std::string_view token);

  [[nodiscard]] const std::string& token() const { return token_; }

  [[nodiscard]] Result<void> write_request(std::string_view bytes) const;
  /// The request, once: whoever takes it runs the task, and holds the claim while it runs.
  [[nodiscard]] Result<std::string> take_request();

  /// Tells where the task's process group is, from now on and until write_status().
  [[nodiscard]] Result<void> write_group(pid_t group) const;
  /// Until the return value ends, nobody sends the task a signal: its process id can be given back.
  [[nodiscard]] Result<void> forbid_signals() const;
  [[nodiscard]] Result<void> write_status(const std::string& text) const;

  /// Sends a signal to the task's process group, unless it has ended.
  [[nodiscard]] Result<void> send(int number) const;

  /// "exited 7", "signalled 9"; "waiting", "running"; "lost" where what ran it was killed.
  [[nodiscard]] Result<std::string> status() const;
  void remove() const;

 private:
  TaskFiles(std::string path, std::string token)
      : path_{std::move(path)}, token_{std::move(token)} {}
  [[nodiscard]] std::string file(const char* suffix) const { return path_ + suffix; }

  std::string path_;
  std::string token_;
  UniqueFd claim_;
};

/// Reads a descriptor to its end.
[[nodiscard]] Result<std::string> read_all(int fd, std::size_t limit);

}  // namespace cloud
