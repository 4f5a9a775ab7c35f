// SPDX-License-Identifier: Apache-2.0
#include "core/machine/user_account.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

}  // namespace cloud
