// SPDX-License-Identifier: Apache-2.0
//
// The processes of a machine, found through its control group: a pid in a file can have come to
// mean another process, and a name can be taken by anybody on the node.
#ifndef SPANK_CLOUD_PROCESS_HPP
#define SPANK_CLOUD_PROCESS_HPP

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace cloud {
namespace sdk {

struct Process {
  pid_t pid = 0;     ///< as the host sees it; 0 where there is none
  Descriptor pidfd;  ///< of that very process

  explicit operator bool() const noexcept { return pid != 0; }
};

/// The processes in a control group, without those of groups below it, from whichever hierarchy
/// has the group. `cgroup` is as in cloud_machine_ref; "" has none.
[[nodiscard]] inline std::vector<pid_t> processes_of(const std::string& cgroup) {
  namespace fs = std::filesystem;
  constexpr const char* kRoot = "/sys/fs/cgroup";
  std::vector<pid_t> found;
  if (cgroup.empty()) return found;
  std::vector<fs::path> roots{kRoot};
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{kRoot, problem}) {
    if (entry.is_directory(problem) && !entry.is_symlink(problem)) roots.push_back(entry.path());
  }
  for (const auto& root : roots) {
    std::ifstream file{root.string() + cgroup + "/cgroup.procs"};
    for (pid_t pid = 0; file >> pid;) found.push_back(pid);
    if (!found.empty()) break;
  }
  return found;
}

/// A descriptor of a process that holds `is_wanted` before it was opened and after.
template <typename Predicate>
[[nodiscard]] Process open_process(pid_t pid, Predicate&& is_wanted) {
  if (!is_wanted(pid)) return {};
  Descriptor pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  // Asked again: the number cannot have come to mean another process in between.
  if (!pidfd || !is_wanted(pid)) return {};
  return {pid, std::move(pidfd)};
}

namespace detail {

// Process 1 of a pid namespace whose parent is the caller's: "NSpid:  4711  1".
inline bool is_first_of_namespace(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, 6, "NSpid:") != 0) continue;
    std::istringstream numbers{line.substr(6)};
    std::vector<pid_t> pids;
    for (pid_t number = 0; numbers >> number;) pids.push_back(number);
    return pids.size() == 2 && pids.back() == 1;
  }
  return false;
}

// Each is opened before the group is read anew: a number in the first reading may have come to mean
// another process, one in both is a process of the group's. In portions, as a process has fewer
// descriptors than a machine may have processes.
inline void kill_each(const std::string& cgroup, const std::vector<pid_t>& pids) {
  constexpr std::size_t kPortion = 200;
  for (std::size_t begin = 0; begin < pids.size(); begin += kPortion) {
    std::vector<Process> opened;
    for (std::size_t i = begin; i < std::min(pids.size(), begin + kPortion); ++i) {
      Descriptor pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pids[i], 0))};
      if (pidfd) opened.push_back({pids[i], std::move(pidfd)});
    }
    auto now = processes_of(cgroup);
    std::sort(now.begin(), now.end());
    for (const auto& process : opened) {
      if (!std::binary_search(now.begin(), now.end(), process.pid)) continue;
      ::syscall(SYS_pidfd_send_signal, process.pidfd.value(), SIGKILL, nullptr, 0);
    }
  }
}

}  // namespace detail

/// The process 1 of the machine whose processes are in that control group.
[[nodiscard]] inline Process init_of(const std::string& cgroup) {
  for (const auto pid : processes_of(cgroup)) {
    auto init = open_process(pid, [&](pid_t number) {
      const auto now = processes_of(cgroup);
      return std::find(now.begin(), now.end(), number) != now.end() &&
             detail::is_first_of_namespace(number);
    });
    if (init) return init;
  }
  return {};
}

/// Whether the process has ended by now, also where nobody has waited for it yet.
[[nodiscard]] inline bool is_over(const Process& process) noexcept {
  pollfd wanted{process.pidfd.value(), POLLIN, 0};
  return !process || ::poll(&wanted, 1, 0) == 1;
}

/// Whether the process ended before the deadline. Throws CLOUD_E_CANCELLED.
[[nodiscard]] inline bool has_ended(const Process& process, Deadline deadline, const Host& host) {
  constexpr std::int64_t kPollMs = 100;
  for (;;) {
    pollfd wanted{process.pidfd.value(), POLLIN, 0};
    const auto left = std::min(deadline.remaining() / 1000000 + 1, kPollMs);
    if (::poll(&wanted, 1, static_cast<int>(left)) == 1) return true;
    if (host.cancelled()) throw Failure{CLOUD_E_CANCELLED, "the job is being cancelled"};
    if (deadline.expired()) return false;
  }
}

/// Sends a signal and waits for the end; whether it came before the deadline. True for no process.
/// Throws CLOUD_E_CANCELLED.
[[nodiscard]] inline bool end_process(const Process& process, int signal_number, Deadline deadline,
                                      const Host& host) {
  if (!process) return true;
  if (::syscall(SYS_pidfd_send_signal, process.pidfd.value(), signal_number, nullptr, 0) != 0) {
    return errno == ESRCH;
  }
  return has_ended(process, deadline, host);
}

/// Kills what is in a control group until nothing is left in it. Throws CLOUD_E_TIMEOUT and
/// CLOUD_E_CANCELLED.
inline void kill_processes(const std::string& cgroup, Deadline deadline, const Host& host) {
  constexpr std::int64_t kPauseMs = 5;
  for (;;) {
    const auto found = processes_of(cgroup);
    if (found.empty()) return;
    detail::kill_each(cgroup, found);
    deadline.pause(
        host, kPauseMs,
        "end the " + std::to_string(found.size()) + " processes in the machine's control group");
  }
}

}  // namespace sdk
}  // namespace cloud

#endif
