// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/frozen_machine.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "tools/backend_check/process_tree.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

void send(const UniqueFd& process, int number) {
  ::syscall(SYS_pidfd_send_signal, process.value(), number, nullptr, 0);
}

bool has_ended(const UniqueFd& process) {
  pollfd wanted{process.value(), POLLIN, 0};
  return ::poll(&wanted, 1, 0) == 1;
}

// Whether it has not stopped yet, nor ended.
bool may_run(pid_t pid) {
  const char state = state_of(pid);
  return state != '\0' && std::string_view{"TZX"}.find(state) == std::string_view::npos;
}

}  // namespace

FrozenMachine::FrozenMachine(const std::vector<pid_t>& first, std::chrono::milliseconds limit) {
  // One that boots forks, until it has stopped.
  while (stop_more(first)) {
  }
  limiter_ = std::jthread{[this, limit](const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    over_.wait_for(lock, stop, limit, [] { return false; });
    thaw();
  }};
}

FrozenMachine::~FrozenMachine() {
  limiter_.request_stop();
}

bool FrozenMachine::stop_more(const std::vector<pid_t>& first) {
  const auto all = all_processes();
  std::vector<pid_t> wanted = first;
  for (const auto ancestor : first) {
    for (const auto& process : descendants_of(ancestor, all)) wanted.push_back(process.pid);
  }
  bool found = false;
  for (const pid_t pid : wanted) {
    const bool is_known = std::any_of(stopped_.begin(), stopped_.end(),
                                      [&](const Stopped& one) { return one.pid == pid; });
    if (is_known) continue;
    UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!process || has_ended(process)) continue;
    send(process, SIGSTOP);
    // Until then, a SIGTERM would come before it.
    for (int round = 0; round < 2000 && may_run(pid); ++round) std::this_thread::sleep_for(1ms);
    stopped_.push_back({pid, std::move(process)});
    found = true;
  }
  return found;
}

pid_t FrozenMachine::living() const {
  for (int round = 0; round < 100; ++round) {
    const auto one = std::find_if(stopped_.begin(), stopped_.end(),
                                  [](const Stopped& each) { return !has_ended(each.process); });
    if (one == stopped_.end()) return 0;
    // Whoever was killed needs a moment to give its memory back.
    if (round == 99) return one->pid;
    std::this_thread::sleep_for(20ms);
  }
  return 0;
}

void FrozenMachine::thaw() const noexcept {
  for (const auto& one : stopped_) send(one.process, SIGCONT);
}

}  // namespace cloud
