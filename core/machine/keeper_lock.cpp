// SPDX-License-Identifier: Apache-2.0
#include "core/machine/keeper_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

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

Result<void> end_keeper(const std::string& job_path, std::chrono::milliseconds grace) {
  const auto path = lock_path(job_path);
  const UniqueFd file{::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
  if (!file) {
    if (errno == ENOENT) return {};
    return os_error(Blame::node, "open " + path, errno);
  }
  for (const int number : {SIGTERM, SIGKILL}) {
    if (lock_exclusively(file.value(), path, 0ms)) return {};
    if (const auto pid = holder(file.value()); pid > 1) ::kill(pid, number);
    if (lock_exclusively(file.value(), path, number == SIGTERM ? grace : 5s)) return {};
  }
  return Error{Blame::node,
               "the keeper, process " + std::to_string(holder(file.value())) + ", does not die"};
}

}  // namespace cloud
