// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <array>
#include <vector>

namespace cloud {

/// The ssh server's ends of this program's stdin, stdout and stderr: sockets, pipes or a terminal.
/// They tell when the connection or its client has gone, which the server does not signal.
class SshChannel {
 public:
  SshChannel();

  /// Entries for poll(); empty events, as POLLHUP and POLLERR always come.
  [[nodiscard]] std::vector<pollfd> watched() const;
  /// Takes what poll() said of them.
  void update(const std::vector<pollfd>& polled);

  /// The client has gone. Its stdin alone may end while the task runs on. A client that is killed
  /// leaves a server that closes stdin and stdout, and keeps stderr until the task has ended.
  [[nodiscard]] bool gone() const {
    return terminal_gone_ || closed_[2] || (closed_[0] && closed_[1]);
  }

 private:
  std::array<bool, 3> watch_{};
  std::array<bool, 3> closed_{};
  bool terminal_gone_ = false;
};

}  // namespace cloud
