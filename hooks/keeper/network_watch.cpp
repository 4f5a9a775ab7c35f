// SPDX-License-Identifier: Apache-2.0
#include "hooks/keeper/network_watch.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/log.hpp"
#include "core/machine/machine_network.hpp"
#include "core/network/port_guard.hpp"
#include "core/system/file_version.hpp"
#include "core/system/write_all.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause = 200ms;
constexpr std::chrono::milliseconds kLongestPause = 30s;
constexpr std::size_t kVersionMax = 4096;

UniqueFd listen_to_rules() {
  constexpr int kGroup = NFNLGRP_NFTABLES;
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  UniqueFd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER)};
  // One that has no address yet is told nothing, even where it gets one afterwards.
  if (socket && ::bind(socket.value(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
    socket.reset();
  }
  if (socket && ::setsockopt(socket.value(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &kGroup,
                             sizeof kGroup) != 0) {
    socket.reset();
  }
  return socket;
}

}  // namespace

NetworkWatch::NetworkWatch(const SiteConfig& config, PoolConfig pool, MachineSpec spec)
    : config_{config},
      pool_{std::move(pool)},
      spec_{std::move(spec)},
      events_{listen_to_rules()},
      next_{Clock::now()},
      pause_{kFirstPause} {}

// One that hangs in a file system is left to it.
NetworkWatch::~NetworkWatch() {
  if (worker_ > 0) ::kill(worker_, SIGKILL);
}

void NetworkWatch::hear() {
  std::array<char, 8192> ignored{};
  while (::recv(events_.value(), ignored.data(), ignored.size(), 0) > 0 || errno == ENOBUFS) {
  }
  const auto guarded = is_guarded(spec_.name);
  if (!guarded || *guarded) return;
  next_ = Clock::now();
  look();
}

void NetworkWatch::look() {
  reap();
  if (worker_ > 0 || Clock::now() < next_) return;
  next_ = Clock::now() + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  begin();
}

void NetworkWatch::hurry() {
  pause_ = kFirstPause;
  next_ = Clock::now();
}

void NetworkWatch::begin() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  told_.reset(ends[0]);
  const UniqueFd tell{ends[1]};
  worker_ = ::fork();
  if (worker_ == 0) refresh(tell.value());
}

// What the keeper has open is not kept open for longer than it lives: its lock, above all.
void NetworkWatch::refresh(int told) const {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(told, 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  const auto now = version();
  const auto guarded = is_guarded(spec_.name);
  if (guarded && *guarded && now == seen_) ::_exit(0);
  const auto port = noted_port(spec_.work_dir);
  auto plan = plan_port_guard(config_, pool_, spec_, port);
  auto done = plan ? Result<void>{} : Result<void>{plan.error()};
  if (done && guarded && *guarded) {
    done = keep_apart(spec_.name, plan->kept_apart);
  } else if (done && !port.empty()) {
    log_line(LogLevel::warn, "somebody has removed the rules that hold machine " + spec_.name +
                                 " back (nft flush ruleset?): they are set again");
    done = set_port_guard(*plan);
  }
  if (!done) {
    log_line(LogLevel::error, "the rules of machine " + spec_.name +
                                  " are not what they should be: " + done.error().message);
    ::_exit(1);
  }
  (void)write_all(3, now);
  ::_exit(0);
}

void NetworkWatch::reap() {
  if (worker_ <= 0) return;
  if (uninterrupted([&] { return ::waitpid(worker_, nullptr, WNOHANG); }) == 0) return;
  worker_ = -1;
  std::array<char, kVersionMax> text{};
  const auto size = uninterrupted([&] { return ::read(told_.value(), text.data(), text.size()); });
  if (size > 0) seen_.assign(text.data(), static_cast<std::size_t>(size));
}

std::string NetworkWatch::version() const {
  std::string all;
  for (const auto& pool : config_.pools) {
    struct stat status {};
    all += ::stat(pool.file.c_str(), &status) == 0 ? version_of(status) : "none";
    all += '\n';
  }
  if (all.size() > kVersionMax) all.resize(kVersionMax);
  return all;
}

}  // namespace cloud
