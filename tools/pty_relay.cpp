// SPDX-License-Identifier: Apache-2.0
#include "tools/pty_relay.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "core/system/write_all.hpp"

namespace cloud {
namespace {

volatile sig_atomic_t child_changed = 0;
volatile sig_atomic_t size_changed = 0;

void note(int number) {
  (number == SIGCHLD ? child_changed : size_changed) = 1;
}

}  // namespace

std::optional<PtyRelay> PtyRelay::open() {
  PtyRelay made;
  if (::tcgetattr(STDIN_FILENO, &made.before_) != 0 || ::tcgetpgrp(STDIN_FILENO) != ::getpgrp()) {
    return std::nullopt;
  }
  made.master_.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 64> name{};
  if (!made.master_ || ::grantpt(made.master_.value()) != 0 ||
      ::unlockpt(made.master_.value()) != 0 ||
      ::ptsname_r(made.master_.value(), name.data(), name.size()) != 0) {
    return std::nullopt;
  }
  made.slave_.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!made.slave_) return std::nullopt;
  ::tcsetattr(made.slave_.value(), TCSANOW, &made.before_);
  made.output_ = ::isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : STDIN_FILENO;
  made.pass_size();
  return made;
}

void PtyRelay::become_terminal() {
  ::setsid();
  ::ioctl(slave_.value(), TIOCSCTTY, 0);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::isatty(fd) != 0) ::dup2(slave_.value(), fd);
  }
}

int PtyRelay::run(pid_t child) {
  slave_.reset();
  sigset_t ours;
  sigset_t others;
  ::sigemptyset(&ours);
  for (const int number : {SIGCHLD, SIGWINCH}) {
    struct sigaction action {};
    action.sa_handler = note;
    ::sigaction(number, &action, nullptr);
    ::sigaddset(&ours, number);
  }
  ::sigprocmask(SIG_BLOCK, &ours, &others);
  for (const int number : {SIGCHLD, SIGWINCH}) ::sigdelset(&others, number);
  // It may have ended before we listened.
  child_changed = 1;
  size_changed = 1;
  auto raw = before_;
  ::cfmakeraw(&raw);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  int status = 0;
  for (;;) {
    if (child_changed != 0) {
      child_changed = 0;
      if (::waitpid(child, &status, WNOHANG) == child) break;
    }
    if (size_changed != 0) {
      size_changed = 0;
      pass_size();
    }
    const bool wants_input = input_is_open_ && typed_.empty();
    const auto events = static_cast<short>(POLLIN | (typed_.empty() ? 0 : POLLOUT));
    std::array<pollfd, 2> wanted{pollfd{wants_input ? STDIN_FILENO : -1, POLLIN, 0},
                                 pollfd{master_is_open_ ? master_.value() : -1, events, 0}};
    if (::ppoll(wanted.data(), wanted.size(), nullptr, &others) <= 0) continue;
    if (wanted[0].revents != 0) pass_input();
    if ((wanted[1].revents & POLLOUT) != 0) flush();
    if ((wanted[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) master_is_open_ = pass_output();
  }
  while (master_is_open_ && pass_output()) {
    pollfd more{master_.value(), POLLIN, 0};
    if (::poll(&more, 1, 0) != 1) break;
  }
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  return status;
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
