// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/guest/ssh_channel.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace cloud {

SshChannel::SshChannel() {
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    struct stat kind {};
    const auto fd = static_cast<int>(i);
    watch_[i] = ::fstat(fd, &kind) == 0 &&
                (S_ISFIFO(kind.st_mode) || S_ISSOCK(kind.st_mode) || ::isatty(fd) == 1);
  }
}

std::vector<pollfd> SshChannel::watched() const {
  std::vector<pollfd> entries;
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    // What has hung up would be reported for ever.
    if (watch_[i] && !closed_[i]) entries.push_back({static_cast<int>(i), 0, 0});
  }
  return entries;
}

void SshChannel::update(const std::vector<pollfd>& polled) {
  for (const auto& entry : polled) {
    if ((entry.revents & (POLLHUP | POLLERR)) == 0) continue;
    struct stat kind {};
    if (::fstat(entry.fd, &kind) == 0 && S_ISCHR(kind.st_mode)) terminal_gone_ = true;
    closed_.at(static_cast<std::size_t>(entry.fd)) = true;
  }
}

}  // namespace cloud
