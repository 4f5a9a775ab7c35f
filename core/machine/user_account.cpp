// SPDX-License-Identifier: Apache-2.0
#include "core/machine/user_account.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>
#include <vector>

namespace cloud {
namespace {

std::string group_name(gid_t gid) {
  const auto* entry = ::getgrgid(gid);
  return entry == nullptr ? std::string{} : std::string{entry->gr_name};
}

/// The ids that file access is checked with, for as long as it lives.
class FileAccessAs {
 public:
  explicit FileAccessAs(const MachineUser& user) {
    const int count = ::getgroups(0, nullptr);
    saved_.resize(static_cast<std::size_t>(count > 0 ? count : 0));
    if (count > 0 && ::getgroups(count, saved_.data()) < 0) return;
    std::vector<gid_t> groups{user.groups.begin(), user.groups.end()};
    groups.push_back(user.gid);
    if (::setgroups(groups.size(), groups.data()) != 0) return;
    ::setfsgid(user.gid);
    // Also drops the capabilities that override file permissions.
    ::setfsuid(user.uid);
    taken_ = static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1))) == user.uid &&
             static_cast<gid_t>(::setfsgid(static_cast<gid_t>(-1))) == user.gid;
  }
  ~FileAccessAs() {
    ::setfsuid(0);
    ::setfsgid(0);
    // Cannot fail: root sets what root had.
    [[maybe_unused]] const int restored = ::setgroups(saved_.size(), saved_.data());
  }
  FileAccessAs(const FileAccessAs&) = delete;
  FileAccessAs& operator=(const FileAccessAs&) = delete;

  [[nodiscard]] bool taken() const noexcept { return taken_; }

 private:
  std::vector<gid_t> saved_;
  bool taken_ = false;
};

}  // namespace

Result<MachineUser> look_up_user(const JobRecord& record) {
  errno = 0;
  const auto* entry = ::getpwuid(record.uid);
  if (entry == nullptr) {
    return Error{Blame::node,
                 "the node's directory knows no user with uid " + std::to_string(record.uid) +
                     " (getent passwd " + std::to_string(record.uid) + ")",
                 errno};
  }
  MachineUser user;
  user.uid = record.uid;
  user.gid = record.gid;
  user.name = entry->pw_name;
  user.home = entry->pw_dir;
  user.shell = entry->pw_shell;
  const auto own_gid = entry->pw_gid;
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
  }
  groups.resize(static_cast<std::size_t>(count));
  // Slurm gives a job that runs with another group (srun --gid) the user's own one besides.
  groups.push_back(own_gid);
  for (const auto gid : groups) {
    const bool is_known = std::ranges::find(user.groups, gid) != user.groups.end();
    if (gid == user.gid || gid == 0 || is_known) continue;
    user.groups.push_back(gid);
    user.group_names.push_back(group_name(gid));
  }
  user.group_names.push_back(group_name(user.gid));
  return user;
}

Result<UniqueFd> open_as_user(const MachineUser& user, const std::string& path,
                              const std::string& what) {
  const FileAccessAs rights{user};
  if (!rights.taken()) return Error{Blame::internal, "cannot take the rights of user " + user.name};
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  // The magic links of /proc/self would lead to what this process, root's, has open.
  how.resolve = RESOLVE_NO_MAGICLINKS;
  UniqueFd file{static_cast<int>(uninterrupted(
      [&] { return ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how); }))};
  if (!file) return os_error(Blame::user, what + " " + path, errno);
  struct stat status {};
  if (::fstat(file.value(), &status) != 0) return os_error(Blame::user, path, errno);
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    return Error{Blame::user, what + " " + path + " is neither a folder nor a regular file"};
  }
  // O_PATH asks for no right on the file itself.
  const int wanted = S_ISDIR(status.st_mode) ? X_OK : R_OK;
  const auto link = "/proc/self/fd/" + std::to_string(file.value());
  const auto ask = [&] {
    return ::syscall(SYS_faccessat2, AT_FDCWD, link.c_str(), wanted, AT_EACCESS);
  };
  if (uninterrupted(ask) != 0) {
    return os_error(Blame::user, what + " " + path, errno);
  }
  return file;
}

namespace {

// What the reading process says first: 0 and then the text, or why there is none.
enum class Refusal : int { none = 0, not_regular = -1, too_long = -2 };

// JUSTIFICATION: a process that has only ever the user's rights on that file, so that no question
// of the kernel's, at the opening or at the reading, is answered with root's. Nobody can trace it,
// as it is undumpable. Only async-signal-safe calls: raw ones, as glibc's wrappers would change the
// ids of all threads of the caller's copy.
[[noreturn]] void read_in_child(const MachineUser& user, const char* path, std::size_t limit,
                                char* buffer, int answer) {
  constexpr int pipe = 3;
  // Before it is the user's: what its user could take from it, as it dies, is nothing of root's.
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (answer != pipe) ::dup2(answer, pipe);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  const auto say = [&](int problem) {
    [[maybe_unused]] const auto written = ::write(pipe, &problem, sizeof problem);
    if (problem != 0) ::_exit(1);
  };
  if (::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
      ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0 ||
      ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) {
    say(errno);
  }
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const int file = static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) say(errno);
  if (!S_ISREG(status.st_mode)) say(static_cast<int>(Refusal::not_regular));
  std::size_t size = 0;
  while (size <= limit) {
    const auto count = ::read(file, buffer + size, limit + 1 - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) say(errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > limit) say(static_cast<int>(Refusal::too_long));
  say(0);
  for (std::size_t sent = 0; sent < size;) {
    const auto count = ::write(pipe, buffer + sent, size - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) ::_exit(1);
    sent += static_cast<std::size_t>(count);
  }
  ::_exit(0);
}

// All that comes until the other end is closed, or the time is over; whether it was.
bool read_all(int pipe, std::chrono::milliseconds limit, std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (!is_ready_within(pipe, POLLIN, left)) return false;
    const auto count = uninterrupted([&] { return ::read(pipe, buffer.data(), buffer.size()); });
    if (count <= 0) return count == 0;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

Result<std::string> read_as_user(const MachineUser& user, const std::string& path,
                                 const std::string& what, std::size_t limit) {
  // Of a file system that hangs, or is the user's own (FUSE).
  constexpr std::chrono::seconds kLimit{10};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_error(Blame::node, "make a pipe", errno);
  const UniqueFd read_end{ends[0]};
  UniqueFd write_end{ends[1]};
  std::vector<char> buffer(limit + 1);
  const pid_t reader = ::fork();
  if (reader < 0) return os_error(Blame::node, "fork", errno);
  if (reader == 0) read_in_child(user, path.c_str(), limit, buffer.data(), write_end.value());
  write_end.reset();
  std::string answer;
  const bool is_whole = read_all(read_end.value(), kLimit, answer);
  // One that waits for the user's own file system may stay; it is nobody's to wait for.
  ::kill(reader, SIGKILL);
  if (is_whole) uninterrupted([&] { return ::waitpid(reader, nullptr, 0); });
  const auto name = what + " " + path;
  if (!is_whole) {
    return Error{Blame::user, name + " could not be read in " + std::to_string(kLimit.count()) +
                                  " s: choose a file on a file system that answers"};
  }
  int problem = EIO;
  if (answer.size() >= sizeof problem) std::memcpy(&problem, answer.data(), sizeof problem);
  switch (problem) {
    case static_cast<int>(Refusal::none):
      return answer.substr(sizeof problem);
    case static_cast<int>(Refusal::not_regular):
      return Error{Blame::user, name + " is no regular file"};
    case static_cast<int>(Refusal::too_long):
      return Error{Blame::user, name + " is longer than " + std::to_string(limit) + " bytes"};
    default:
      return os_error(Blame::user, name, problem);
  }
}

}  // namespace cloud
