// SPDX-License-Identifier: Apache-2.0
#include "core/machine/keeper_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "core/job/record_store.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

std::string lock_path(const std::string& job_path) {
  return job_path + "/keeper.lock";
}

pid_t holder(int fd) {
  std::array<char, 32> text{};
  if (::pread(fd, text.data(), text.size() - 1, 0) <= 0) return 0;
  return static_cast<pid_t>(std::strtol(text.data(), nullptr, 10));
}

bool is_in_group(pid_t pid, const std::string& group) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/cgroup"};
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with(":" + group)) return true;
  }
  return false;
}

// The number in the file may have come to mean another process: a keeper is where keepers are.
void signal_keeper(pid_t pid, const std::string& group, int number) {
  if (pid <= 1) return;
  const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!process || !is_in_group(pid, group)) return;
  ::syscall(SYS_pidfd_send_signal, process.value(), number, nullptr, 0);
}

}  // namespace

Result<UniqueFd> take_keeper_lock(const std::string& job_path) {
  const auto path = lock_path(job_path);
  UniqueFd file{::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) return os_error(Blame::node, "open " + path, errno);
  if (auto locked = lock_exclusively(file.value(), path, 0ms); !locked) return locked.error();
  const auto text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file.value(), 0) != 0 ||
      ::pwrite(file.value(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return os_error(Blame::node, "write " + path, errno);
  }
  return file;
}

std::string keeper_cgroup(const std::string& machine_cgroup) {
  return machine_cgroup + "/keeper";
}

pid_t living_keeper(const std::string& job_path, const std::string& machine_cgroup) {
  const UniqueFd file{::open(lock_path(job_path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  // Who could have the lock finds no keeper.
  if (!file || lock_exclusively(file.value(), "", 0ms)) return 0;
  const auto pid = holder(file.value());
  return pid > 1 && is_in_group(pid, keeper_cgroup(machine_cgroup)) ? pid : 0;
}

Result<void> end_keeper(const std::string& job_path, const std::string& machine_cgroup,
                        std::chrono::milliseconds grace, std::chrono::milliseconds limit) {
  const auto path = lock_path(job_path);
  const UniqueFd file{::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
  if (!file) {
    if (errno == ENOENT) return {};
    return os_error(Blame::node, "open " + path, errno);
  }
  for (const int number : {SIGTERM, SIGKILL}) {
    if (lock_exclusively(file.value(), path, 0ms)) return {};
    signal_keeper(holder(file.value()), keeper_cgroup(machine_cgroup), number);
    if (lock_exclusively(file.value(), path, number == SIGTERM ? grace : limit)) return {};
  }
  return Error{Blame::node,
               "the keeper, process " + std::to_string(holder(file.value())) + ", does not end"};
}

}  // namespace cloud
