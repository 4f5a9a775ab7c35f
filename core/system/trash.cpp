// SPDX-License-Identifier: Apache-2.0
#include "core/system/trash.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/ioprio.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using Clock = std::chrono::steady_clock;

Result<void> empty(const std::string& trash, int lock_operation) {
  const UniqueFd folder{::open(trash.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!folder) {
    if (errno == ENOENT) return {};
    return os_error(Blame::node, "open " + trash, errno);
  }
  if (uninterrupted([&] { return ::flock(folder.value(), lock_operation); }) != 0) {
    if (errno == EWOULDBLOCK) return {};
    return os_error(Blame::node, "lock " + trash, errno);
  }
  Result<void> all;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator{trash, problem}) {
    if (auto removed = remove_tree(entry.path().string()); !removed) all = removed;
  }
  return all;
}

// JUSTIFICATION: the epilog ends, and slurmd with it its process group; this goes on.
Result<void> empty_later(const std::string& trash) {
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(Blame::node, "fork to empty " + trash, errno);
  if (pid > 0) return {};
  ::setsid();
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  // The record's lock, for one.
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  if (::nice(19) < 0) errno = 0;
  ::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
  ::_exit(empty(trash, LOCK_EX) ? 0 : 1);
}

}  // namespace

Result<void> remove_or_discard(const std::string& path, const std::string& trash,
                               std::chrono::milliseconds limit) {
  auto removed = remove_tree(path, Clock::now() + limit);
  // Not empty: somebody makes files as fast as they are removed.
  const bool is_late =
      !removed && (removed.error().os_errno == ETIMEDOUT || removed.error().os_errno == ENOTEMPTY);
  if (!is_late) return removed;
  if (auto made = make_directories(trash, 0700); !made) return made;
  const auto to = trash + path.substr(path.rfind('/')) + "-" +
                  std::to_string(Clock::now().time_since_epoch().count());
  if (::rename(path.c_str(), to.c_str()) != 0) {
    return os_error(Blame::node, "move " + path + " to " + to, errno);
  }
  return empty_later(trash);
}

Result<void> empty_trash(const std::string& trash) {
  return empty(trash, LOCK_EX | LOCK_NB);
}

}  // namespace cloud
