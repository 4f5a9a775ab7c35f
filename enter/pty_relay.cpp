// SPDX-License-Identifier: Apache-2.0
#include "enter/pty_relay.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/system/write_all.hpp"

namespace cloud {

std::optional<PtyRelay> PtyRelay::of_our_terminal() {
  PtyRelay made;
  if (::tcgetattr(STDIN_FILENO, &made.before_) != 0 || ::tcgetpgrp(STDIN_FILENO) != ::getpgrp()) {
    return std::nullopt;
  }
  made.output_ = ::isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : STDIN_FILENO;
  return made;
}

void PtyRelay::connect(UniqueFd master) {
  master_ = std::move(master);
  ::fcntl(master_.value(), F_SETFL, ::fcntl(master_.value(), F_GETFL) | O_NONBLOCK);
  ::tcsetattr(master_.value(), TCSANOW, &before_);
  pass_size();
  auto raw = before_;
  ::cfmakeraw(&raw);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

std::array<pollfd, 2> PtyRelay::wanted() const {
  const bool wants_input = input_is_open_ && typed_.empty();
  const auto events = static_cast<short>(POLLIN | (typed_.empty() ? 0 : POLLOUT));
  return {pollfd{wants_input ? STDIN_FILENO : -1, POLLIN, 0},
          pollfd{master_is_open_ ? master_.value() : -1, events, 0}};
}

void PtyRelay::pass(const std::array<pollfd, 2>& found) {
  if (found[0].revents != 0) pass_input();
  if ((found[1].revents & POLLOUT) != 0) flush();
  if ((found[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) master_is_open_ = pass_output();
}

void PtyRelay::finish() {
  while (master_is_open_ && pass_output()) {
    pollfd more{master_.value(), POLLIN, 0};
    if (::poll(&more, 1, 0) != 1) break;
  }
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

void PtyRelay::pass_size() const {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
    ::ioctl(master_.value(), TIOCSWINSZ, &size);
  }
}

void PtyRelay::pass_input() {
  std::array<char, 4096> buffer{};
  const auto count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) {
    // Ours has hung up, and the kernel says so with a signal that is handed on.
    input_is_open_ = false;
    return;
  }
  typed_.assign(buffer.data(), static_cast<std::size_t>(count));
  flush();
}

void PtyRelay::flush() {
  const auto count = ::write(master_.value(), typed_.data(), typed_.size());
  if (count > 0) typed_.erase(0, static_cast<std::size_t>(count));
  if (count < 0 && errno != EAGAIN && errno != EINTR) typed_.clear();
}

// False where nobody has the other end open any more.
bool PtyRelay::pass_output() {
  std::array<char, 16384> buffer{};
  const auto count = ::read(master_.value(), buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  if (count == 0) return false;
  (void)write_all(output_, {buffer.data(), static_cast<std::size_t>(count)});
  return true;
}

}  // namespace cloud
