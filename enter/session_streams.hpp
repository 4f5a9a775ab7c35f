// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>
#include <termios.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// What stands between this process's stdin, stdout, stderr and an ssh(1): pipes, or a terminal of
/// their own. ssh hands its descriptors to the process that holds the machine's shared connection,
/// which outlives a step and may hang with its guest; Slurm waits for whoever has the step's own
/// ones. So those never leave this process.
class SessionStreams {
 public:
  /// With a terminal where stdin is one that is ours at the moment. False and errno where the
  /// system has no more.
  [[nodiscard]] bool open();
  [[nodiscard]] bool has_terminal() const noexcept { return static_cast<bool>(terminal_); }

  /// In the child.
  void take_place() const;
  /// In the parent: from here on what is said and typed passes; a terminal is raw meanwhile.
  void begin();

  /// What poll(2) must wait for, added to `wanted`; and what is done when it has come.
  void add_to(std::vector<pollfd>& wanted) const;
  void pass_on(const std::vector<pollfd>& ready);
  /// Gives the terminal the size of ours.
  void pass_size() const;

  /// When ssh has ended: passes on what it had said, and gives the terminal back. An end of a pipe
  /// that somebody still holds is not waited for.
  void finish();

 private:
  // Bytes on their way from one descriptor to another.
  struct Flow {
    int from = -1;
    int to = -1;
    std::string pending;

    [[nodiscard]] bool is_open() const noexcept { return from >= 0 && to >= 0; }
    void add_to(std::vector<pollfd>& wanted) const;
    // False where either end has gone.
    [[nodiscard]] bool pass_on(const std::vector<pollfd>& ready);
    [[nodiscard]] bool read_some();
    [[nodiscard]] bool write_some();
  };

  [[nodiscard]] bool open_terminal();
  void end_input();

  std::array<UniqueFd, 3> theirs_;  ///< ssh's stdin, stdout, stderr, until it has them
  std::array<UniqueFd, 3> ours_;    ///< the other ends
  UniqueFd terminal_;               ///< the master's side of the terminal, where there is one
  Flow input_;
  std::vector<Flow> outputs_;
  termios before_{};
};

}  // namespace cloud
