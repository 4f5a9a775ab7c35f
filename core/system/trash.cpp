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
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using Clock = std::chrono::steady_clock;

// For one folder at a time, then it is the others' turn: whoever still makes files in theirs keeps
// only that one here.
constexpr std::chrono::seconds kForOne{60};

// "sc-n1-17-1234567@1879048192-65536-1000": whose folders a removal may empty goes with the name.
std::string trash_name(const std::string& name, const TreeOwners& owners) {
  return name + "-" + std::to_string(Clock::now().time_since_epoch().count()) + "@" +
         std::to_string(owners.first) + "-" + std::to_string(owners.count) + "-" +
         std::to_string(owners.user.value_or(0));
}

TreeOwners owners_in(const std::string& name) {
  TreeOwners owners;
  std::uint32_t user = 0;
  const auto at = name.rfind('@');
  const auto* text = at == std::string::npos ? "" : name.c_str() + at;
  if (std::sscanf(text, "@%" SCNu32 "-%" SCNu32 "-%" SCNu32, &owners.first, &owners.count, &user) !=
      3) {
    return {};
  }
  if (user != 0) owners.user = user;
  return owners;
}

Result<void> set_aside(const std::string& path, const std::string& trash) {
  const auto quarantine = trash.substr(0, trash.rfind('/')) + "/quarantine";
  if (auto made = make_directories(quarantine, 0700); !made) return made;
  const auto to = quarantine + path.substr(path.rfind('/'));
  if (::rename(path.c_str(), to.c_str()) == 0) return {};
  return os_error(Blame::node, "move " + path + " to " + to, errno);
}

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
  for (bool is_late = true; is_late;) {
    is_late = false;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator{trash, problem}) {
      const auto path = entry.path().string();
      auto removed = remove_tree(path, Clock::now() + kForOne, owners_in(path));
      if (removed) continue;
      const int why = removed.error().os_errno;
      if (why == ETIMEDOUT) is_late = true;
      if (why != ETIMEDOUT) all = std::move(removed);
      if (why != EPERM) continue;
      if (auto kept = set_aside(path, trash); !kept) all = std::move(kept);
    }
  }
  return all;
}

// JUSTIFICATION: the epilog ends, and slurmd with it its process group; this goes on.
Result<void> empty_later(const std::string& trash, int lock_operation = LOCK_EX) {
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
  ::_exit(empty(trash, lock_operation) ? 0 : 1);
}

}  // namespace

Result<void> remove_or_discard(const std::string& path, const std::string& trash,
                               std::chrono::milliseconds limit, const TreeOwners& owners) {
  auto removed = remove_tree(path, Clock::now() + limit, owners);
  if (removed) return removed;
  if (auto made = make_directories(trash, 0700); !made) return made;
  const auto to = trash + trash_name(path.substr(path.rfind('/')), owners);
  if (::rename(path.c_str(), to.c_str()) != 0) {
    return os_error(Blame::node, "move " + path + " to " + to, errno)
        .within(removed.error().message);
  }
  return empty_later(trash);
}

Result<void> empty_trash(const std::string& trash) {
  return empty(trash, LOCK_EX | LOCK_NB);
}

void tend_trash(const std::string& trash) {
  std::error_code problem;
  const std::filesystem::directory_iterator found{trash, problem};
  if (problem || found == std::filesystem::directory_iterator{}) return;
  // Where it cannot, the next one to come tries again.
  [[maybe_unused]] const auto begun = empty_later(trash, LOCK_EX | LOCK_NB);
}

}  // namespace cloud
