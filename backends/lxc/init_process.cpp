// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/init_process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace cloud::lxc {
namespace {

namespace fs = std::filesystem;

// Of one group, from whichever hierarchy has it: liblxc makes it in all.
std::vector<pid_t> processes_of(const std::string& group) {
  constexpr const char* kRoot = "/sys/fs/cgroup";
  std::vector<fs::path> roots{kRoot};
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{kRoot, problem}) {
    if (entry.is_directory(problem) && !entry.is_symlink(problem)) roots.push_back(entry.path());
  }
  std::vector<pid_t> found;
  for (const auto& root : roots) {
    std::ifstream file{root.string() + group + "/cgroup.procs"};
    for (pid_t pid = 0; file >> pid;) found.push_back(pid);
    if (!found.empty()) break;
  }
  return found;
}

pid_t child_of(pid_t parent) {
  const auto process = std::to_string(parent);
  std::ifstream file{"/proc/" + process + "/task/" + process + "/children"};
  pid_t child = 0;
  file >> child;
  return child;
}

}  // namespace

InitProcess find_init(const std::string& cgroup) {
  if (cgroup.empty()) return {};
  for (const auto monitor : processes_of(cgroup + "/monitor")) {
    const auto child = child_of(monitor);
    if (child == 0) continue;
    Descriptor pidfd{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
    // Asked again: the number cannot have come to mean another process in between.
    if (pidfd && child_of(monitor) == child) return {child, std::move(pidfd)};
  }
  return {};
}

bool end_process(const InitProcess& init, int signal_number, sdk::Deadline deadline,
                 const sdk::Host& host) {
  constexpr std::int64_t kPollMs = 100;
  if (::syscall(SYS_pidfd_send_signal, init.pidfd.value(), signal_number, nullptr, 0) != 0) {
    return errno == ESRCH;
  }
  while (!deadline.expired()) {
    pollfd wanted{init.pidfd.value(), POLLIN, 0};
    const auto left = std::min(deadline.remaining() / 1000000 + 1, kPollMs);
    if (::poll(&wanted, 1, static_cast<int>(left)) == 1) return true;
    if (host.cancelled()) throw sdk::Failure{CLOUD_E_CANCELLED, "the job is being cancelled"};
  }
  return false;
}

}  // namespace cloud::lxc
