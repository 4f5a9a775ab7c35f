// SPDX-License-Identifier: Apache-2.0
#include "enter/session_streams.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <spank-cloud/base/uninterrupted.hpp>

namespace cloud {
namespace {

// A pipe that can be written to takes so much without a wait.
constexpr std::size_t kChunk = PIPE_BUF;

bool is_ready(const std::vector<pollfd>& ready, int fd, short events) {
  constexpr short kEnds = POLLHUP | POLLERR | POLLNVAL;
  return std::any_of(ready.begin(), ready.end(), [&](const pollfd& at) {
    return at.fd == fd && (at.events & events) != 0 && (at.revents & (events | kEnds)) != 0;
  });
}

void do_not_wait_at(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

void SessionStreams::Flow::add_to(std::vector<pollfd>& wanted) const {
  if (!is_open()) return;
  wanted.push_back(pending.empty() ? pollfd{from, POLLIN, 0} : pollfd{to, POLLOUT, 0});
}

bool SessionStreams::Flow::pass_on(const std::vector<pollfd>& ready) {
  if (!is_open()) return true;
  if (!pending.empty()) return !is_ready(ready, to, POLLOUT) || write_some();
  return !is_ready(ready, from, POLLIN) || read_some();
}

bool SessionStreams::Flow::read_some() {
  std::array<char, 4 * kChunk> buffer{};
  const auto count = ::read(from, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  pending.assign(buffer.data(), static_cast<std::size_t>(count));
  return count > 0;
}

bool SessionStreams::Flow::write_some() {
  const auto count = ::write(to, pending.data(), std::min(pending.size(), kChunk));
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  pending.erase(0, static_cast<std::size_t>(count));
  return true;
}

bool SessionStreams::open() {
  const bool is_ours =
      ::tcgetattr(STDIN_FILENO, &before_) == 0 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
  if (is_ours && !open_terminal()) return false;
  for (std::size_t i = 0; i < theirs_.size(); ++i) {
    if (theirs_.at(i)) continue;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    const bool is_input = i == STDIN_FILENO;
    theirs_.at(i).reset(ends.at(is_input ? 0 : 1));
    ours_.at(i).reset(ends.at(is_input ? 1 : 0));
    do_not_wait_at(ours_.at(i).value());
  }
  return true;
}

bool SessionStreams::open_terminal() {
  terminal_.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 64> name{};
  if (!terminal_ || ::grantpt(terminal_.value()) != 0 || ::unlockpt(terminal_.value()) != 0 ||
      ::ptsname_r(terminal_.value(), name.data(), name.size()) != 0) {
    return false;
  }
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::isatty(fd) == 0) continue;
    auto& end = theirs_.at(static_cast<std::size_t>(fd));
    end.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!end) return false;
  }
  // As the task's terminal is to be made.
  ::tcsetattr(theirs_[STDIN_FILENO].value(), TCSANOW, &before_);
  pass_size();
  return true;
}

void SessionStreams::take_place() const {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    ::dup2(theirs_.at(static_cast<std::size_t>(fd)).value(), fd);
  }
}

void SessionStreams::begin() {
  for (auto& end : theirs_) end.reset();
  input_ = {STDIN_FILENO, terminal_ ? terminal_.value() : ours_[STDIN_FILENO].value(), {}};
  if (terminal_) {
    const int screen = ::isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : STDIN_FILENO;
    outputs_.push_back({terminal_.value(), screen, {}});
    auto raw = before_;
    ::cfmakeraw(&raw);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  }
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    const auto& end = ours_.at(static_cast<std::size_t>(fd));
    if (end) outputs_.push_back({end.value(), fd, {}});
  }
}

void SessionStreams::add_to(std::vector<pollfd>& wanted) const {
  input_.add_to(wanted);
  for (const auto& output : outputs_) output.add_to(wanted);
}

void SessionStreams::pass_on(const std::vector<pollfd>& ready) {
  if (!input_.pass_on(ready)) end_input();
  for (auto& output : outputs_) {
    if (output.pass_on(ready)) continue;
    output.from = -1;
    // Nobody reads it any more: ssh is told so, as it would have been by the pipe itself.
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      if (output.to == fd) ours_.at(static_cast<std::size_t>(fd)).reset();
    }
  }
}

void SessionStreams::end_input() {
  input_ = {};
  ours_[STDIN_FILENO].reset();
}

void SessionStreams::pass_size() const {
  winsize size{};
  if (terminal_ && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
    ::ioctl(terminal_.value(), TIOCSWINSZ, &size);
  }
}

void SessionStreams::finish() {
  constexpr std::chrono::milliseconds kLastWords{1000};
  end_input();
  for (auto& output : outputs_) {
    while (output.is_open()) {
      // As long as its reader takes.
      while (!output.pending.empty()) {
        pollfd taken{output.to, POLLOUT, 0};
        if (::poll(&taken, 1, -1) > 0 && !output.write_some()) break;
      }
      if (!output.pending.empty()) break;
      if (!is_ready_within(output.from, POLLIN, kLastWords) || !output.read_some()) break;
    }
  }
  outputs_.clear();
  if (terminal_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

}  // namespace cloud
