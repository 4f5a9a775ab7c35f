// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>
#include <termios.h>

#include <array>
#include <optional>
#include <string>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// Between a terminal of the machine's own and the one that we were started on: only the former has
/// a name in the machine's /dev/pts, as tmux, screen and tty(1) want it.
class PtyRelay {
 public:
  /// Nothing where stdin is no terminal, or one that is another process group's at the moment: the
  /// task does with what it has then.
  [[nodiscard]] static std::optional<PtyRelay> of_our_terminal();

  /// Gives the machine's terminal the settings and the size of ours, which is in raw mode from here
  /// on, so that each key is the machine's to judge.
  void connect(UniqueFd master);

  /// What to poll for.
  [[nodiscard]] std::array<pollfd, 2> wanted() const;
  /// Passes on what poll() has found to be there.
  void pass(const std::array<pollfd, 2>& found);
  /// Ours has another size.
  void pass_size() const;
  /// Prints what is left, and sets our terminal back.
  void finish();

 private:
  void pass_input();
  bool pass_output();
  void flush();

  UniqueFd master_;
  termios before_{};
  int output_ = -1;
  bool input_is_open_ = true;
  bool master_is_open_ = true;
  std::string typed_;  ///< what the machine has not taken yet
};

}  // namespace cloud
