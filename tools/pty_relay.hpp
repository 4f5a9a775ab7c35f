// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>
#include <string>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// A terminal of the machine's own for a task, between it and the one that we were started on: only
/// that has a name in the machine's /dev/pts, as tmux, screen and tty(1) want it.
class PtyRelay {
 public:
  /// Called in the machine. Nothing where stdin is no terminal, or one that is another process
  /// group's at the moment, or the machine has no /dev/ptmx: the task does with what it has then.
  [[nodiscard]] static std::optional<PtyRelay> open();

  /// In the child: a session of its own on the new terminal, in the place of each of stdin, stdout
  /// and stderr that is a terminal.
  void become_terminal();

  /// In the parent: passes on what is typed, printed and resized until the child ends; its wait
  /// status. Our terminal is in raw mode meanwhile, so that each key is the machine's to judge.
  int run(pid_t child);

 private:
  void pass_size() const;
  void pass_input();
  bool pass_output();
  void flush();

  UniqueFd master_;
  UniqueFd slave_;
  termios before_{};
  int output_ = -1;
  bool input_is_open_ = true;
  bool master_is_open_ = true;
  std::string typed_;  ///< what the machine has not taken yet
};

}  // namespace cloud
