// SPDX-License-Identifier: Apache-2.0
#include "core/machine/boot_watch.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <spank-cloud/base/uninterrupted.hpp>
#include <string_view>
#include <thread>

#include "core/machine/last_line.hpp"
#include "core/machine/machine_keys.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPause = 100ms;
constexpr auto kConnect = 1s;
// A guest without KVM on a busy node may need seconds to greet who has connected, and has to begin
// anew with each connection.
constexpr auto kGreeting = 15s;
// For one login or command: the keys alone take such a guest many seconds.
constexpr auto kSshLimit = 90s;
constexpr std::uint16_t kSshPort = 22;

std::string in_seconds(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

BootWatch::BootWatch(SshTarget target, Credentials user, BootSigns signs, BootLimits limits)
    : target_{std::move(target)},
      user_{std::move(user)},
      signs_{std::move(signs)},
      limits_{limits},
      last_sign_{Clock::now()} {}

Result<void> BootWatch::wait_for(ReadyLevel level) {
  if (!is_up_) {
    if (auto up = wait_for_kernel(); !up) return up;
    is_up_ = true;
  }
  if (level == ReadyLevel::boot) return {};
  if (!is_entered_) {
    if (auto entered = wait_for_login(); !entered) return entered;
    is_entered_ = true;
  }
  if (level == ReadyLevel::ssh) return {};
  return wait_for_cloud_init();
}

Result<void> BootWatch::wait_for_kernel() {
  // A machine without a console shows itself by its network alone.
  while (signs_.console_bytes() == 0) {
    const auto answer = knock("the machine's first sign of life");
    if (!answer) return answer.error();
    if (*answer != Answer::silent) break;
    if (auto good = pause("the machine's first sign of life"); !good) return good;
  }
  reached("the kernel is booting");
  return {};
}

Result<void> BootWatch::wait_for_login() {
  bool network_seen = false;
  for (;;) {
    const auto said = knock("the machine's sshd");
    if (!said) return said.error();
    const auto answer = *said;
    if (answer == Answer::refused && !network_seen) {
      network_seen = true;
      reached("the network is up, waiting for sshd");
    }
    if (answer == Answer::ssh) {
      if (!network_seen) reached("sshd answers");
      network_seen = true;
      auto in = log_in();
      if (!in) return std::move(in).error();
      if (*in) {
        reached("the login works");
        return {};
      }
    }
    const auto what = !network_seen            ? std::string{"the machine's network"}
                      : login_problem_.empty() ? std::string{"the machine's sshd"}
                                               : "a login in the machine (" + login_problem_ + ")";
    if (auto good = pause(what); !good) return good;
  }
}

Result<void> BootWatch::wait_for_cloud_init() {
  const auto has_cloud_init = status_of("test -d /etc/cloud");
  if (!has_cloud_init) return has_cloud_init.error();
  if (*has_cloud_init != 0) {
    return Error{
        Blame::user,
        "--cloud-ready=cloud-init: the image has no cloud-init; choose ssh or another image"};
  }
  signs_.progress("waiting for cloud-init");
  for (;;) {
    const auto done = status_of("test -e /run/cloud-init/result.json");
    if (!done) return done.error();
    if (*done == 0) break;
    // Its modules may be silent for long: only the deadline counts here.
    last_sign_ = Clock::now();
    if (auto good = pause("cloud-init to finish"); !good) return good;
    std::this_thread::sleep_for(400ms);
  }
  reached("cloud-init has finished");
  return {};
}

Result<void> BootWatch::check(const std::string& what) {
  if (signs_.cancelled()) return Error{Blame::cancelled, "the job is being cancelled"};
  if (auto alive = signs_.alive(); !alive) {
    return Error{alive.error().blame, alive.error().message + tail()};
  }
  const auto now = Clock::now();
  if (const auto bytes = signs_.console_bytes(); bytes != seen_bytes_) {
    seen_bytes_ = bytes;
    last_sign_ = now;
  }
  if (now >= limits_.deadline) {
    return Error{Blame::node, "the time is up, waiting for " + what +
                                  " (--cloud-timeout, or boot_timeout in cloud.toml)" + tail()};
  }
  if (now - last_sign_ >= limits_.stall) {
    return Error{Blame::node, "the machine makes no progress: for " + in_seconds(limits_.stall) +
                                  " it showed no sign of life, waiting for " + what + tail()};
  }
  return {};
}

Result<void> BootWatch::pause(const std::string& what) {
  if (auto good = check(what); !good) return good;
  std::this_thread::sleep_for(kPause);
  return {};
}

// One connection to the machine's port 22: whether its kernel refuses it, or an sshd greets.
Result<BootWatch::Answer> BootWatch::knock(const std::string& what) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kSshPort);
  if (::inet_pton(AF_INET, target_.address.c_str(), &address.sin_addr) != 1) return Answer::silent;
  const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket) return Answer::silent;
  if (::connect(socket.value(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED) return Answer::refused;
    if (errno != EINPROGRESS || !is_ready_within(socket.value(), POLLOUT, kConnect))
      return Answer::silent;
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(socket.value(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem == ECONNREFUSED) return Answer::refused;
    if (problem != 0) return Answer::silent;
  }
  std::array<char, 4> greeting{};
  const auto end = Clock::now() + kGreeting;
  while (!is_ready_within(socket.value(), POLLIN, kPause)) {
    if (auto good = check(what); !good) return good.error();
    if (Clock::now() >= end) return Answer::silent;
  }
  const auto count =
      uninterrupted([&] { return ::recv(socket.value(), greeting.data(), greeting.size(), 0); });
  const bool is_ssh = count == 4 && std::string_view{greeting.data(), 4} == "SSH-";
  return is_ssh ? Answer::ssh : Answer::silent;
}

// ssh goes to the background once it is let in: then the connection that all sessions share stands.
Result<bool> BootWatch::log_in() {
  const auto outcome =
      run({.argv = ssh_command(target_, {"-M", "-f", "-N", "-o", "ControlPersist=no"}, ""),
           .environment = {"HOME=/", "PATH=/usr/bin:/bin"},
           .working_directory = ssh_socket_folder(target_.dir),
           .keeps_output = true,
           .timeout = std::min<std::chrono::milliseconds>(
               kSshLimit,
               std::chrono::ceil<std::chrono::milliseconds>(limits_.deadline - Clock::now())),
           .cancelled = signs_.cancelled,
           .leaves_daemon = true,
           .user = user_});
  if (!outcome) return outcome.error();
  if (outcome->kind == Outcome::Kind::exited && outcome->code == 0) {
    if (auto closed = close_socket_folder(target_.dir); !closed) return std::move(closed).error();
    return true;
  }
  const auto said = last_line_in(outcome->output);
  login_problem_ = outcome->kind == Outcome::Kind::timed_out
                       ? "ssh took more than " + in_seconds(kSshLimit)
                   : said.empty() ? "ssh failed without a word"
                                  : "ssh says: " + said;
  return false;
}

Result<int> BootWatch::status_of(const std::string& remote_command) const {
  const auto outcome = run({.argv = ssh_command(target_, {"-n"}, remote_command),
                            .environment = {"HOME=/", "PATH=/usr/bin:/bin"},
                            .working_directory = ssh_socket_folder(target_.dir),
                            .timeout = kSshLimit,
                            .cancelled = signs_.cancelled,
                            .user = user_});
  if (!outcome) return outcome.error();
  if (outcome->kind == Outcome::Kind::cancelled) {
    return Error{Blame::cancelled, "the job is being cancelled"};
  }
  constexpr int kSshFailed = 255;
  if (outcome->kind != Outcome::Kind::exited || outcome->code == kSshFailed) {
    return Error{Blame::node, "the ssh connection to the machine broke" + tail()};
  }
  return outcome->code;
}

void BootWatch::reached(const std::string& phase) {
  last_sign_ = Clock::now();
  signs_.progress(phase);
}

std::string BootWatch::tail() const {
  const auto line = signs_.console_tail();
  return line.empty() ? "" : "; the last line on its console: " + line;
}

}  // namespace cloud
