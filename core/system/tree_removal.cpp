// SPDX-License-Identifier: Apache-2.0
#include "core/system/tree_removal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <spank-cloud/base/uninterrupted.hpp>
#include <string_view>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

constexpr std::uint64_t kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

Error mount_point(const std::string& path) {
  return {Blame::node, path + " is a mount point and was left alone: unmount it"};
}

// A folder below another, opened for reading. What is mounted is not entered, also where it is a
// bind mount of the same file system: a user's home may be.
Result<Folder> open_folder(int parent, const char* name, const std::string& path) {
  open_how how{};
  how.flags = kFolder;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  UniqueFd fd{static_cast<int>(
      uninterrupted([&] { return ::syscall(SYS_openat2, parent, name, &how, sizeof how); }))};
  if (!fd && errno == EXDEV) return mount_point(path);
  if (!fd) return os_error(Blame::node, "open " + path, errno);
  // Who has it as working directory makes nothing there any more while it is emptied.
  if (::fchown(fd.value(), 0, 0) != 0 || ::fchmod(fd.value(), 0700) != 0) {
    // Not root's, in a test: nobody else's either.
    if (errno != EPERM) return os_error(Blame::node, "take over " + path, errno);
  }
  Folder folder{::fdopendir(fd.value()), ::closedir};
  if (!folder) return os_error(Blame::node, "read " + path, errno);
  [[maybe_unused]] const int owned = fd.release();
  return folder;
}

bool is_dots(const char* name) {
  return std::string_view{name} == "." || std::string_view{name} == "..";
}

// Who filled the tree may have made it deeper than a process has descriptors or stack, so nothing
// is ever done more than one level down: a folder found there is moved up first.
class TreeRemoval {
 public:
  TreeRemoval(std::string path, Folder top, Deadline deadline)
      : path_{std::move(path)},
        top_{std::move(top)},
        fd_{::dirfd(top_.get())},
        deadline_{deadline} {}

  Result<void> run() {
    while (moved_) {
      moved_ = false;
      ::rewinddir(top_.get());
      while (const auto* entry = ::readdir(top_.get())) {
        if (is_dots(entry->d_name)) continue;
        if (auto removed = remove_child(entry->d_name); !removed) return removed;
      }
    }
    return {};
  }

 private:
  // Now and then, as the clock costs more than it is worth for each entry.
  Result<void> check_time() {
    constexpr std::uint64_t kEntries = 64;
    if (++entries_ % kEntries != 0 || std::chrono::steady_clock::now() < deadline_) return {};
    Error late{Blame::node, path_ + " has too many files to be removed in time"};
    late.os_errno = ETIMEDOUT;
    return late;
  }

  Result<void> remove_child(const char* name) {
    if (auto in_time = check_time(); !in_time) return in_time;
    if (::unlinkat(fd_, name, 0) == 0 || errno == ENOENT) return {};
    const auto child = path_ + "/" + name;
    struct stat status {};
    if (errno != EISDIR && errno != EPERM) return os_error(Blame::node, "remove " + child, errno);
    const int problem = errno;
    if (::fstatat(fd_, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return os_error(Blame::node, "stat " + child, errno);
    }
    if (!S_ISDIR(status.st_mode)) return os_error(Blame::node, "remove " + child, problem);
    auto folder = open_folder(fd_, name, child);
    if (!folder) return std::move(folder).error();
    if (auto emptied = empty(folder->get(), child); !emptied) return emptied;
    if (::unlinkat(fd_, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
      return os_error(Blame::node, "remove " + child, errno);
    }
    return {};
  }

  Result<void> empty(DIR* folder, const std::string& path) {
    while (const auto* entry = ::readdir(folder)) {
      if (is_dots(entry->d_name)) continue;
      if (auto in_time = check_time(); !in_time) return in_time;
      if (::unlinkat(::dirfd(folder), entry->d_name, 0) == 0 || errno == ENOENT) continue;
      const auto child = path + "/" + entry->d_name;
      if (errno != EISDIR && errno != EPERM) return os_error(Blame::node, "remove " + child, errno);
      if (auto up = move_up(::dirfd(folder), entry->d_name, child); !up) return up;
    }
    return {};
  }

  Result<void> move_up(int from, const char* name, const std::string& path) {
    for (;;) {
      const auto to = ".removing-" + std::to_string(next_++);
      if (::renameat2(from, name, fd_, to.c_str(), RENAME_NOREPLACE) == 0) break;
      // Of a removal that was killed.
      if (errno == EEXIST) continue;
      if (errno == EBUSY || errno == EXDEV) return mount_point(path);
      return os_error(Blame::node, "remove " + path, errno);
    }
    moved_ = true;
    return {};
  }

  std::string path_;
  Folder top_;
  int fd_;
  Deadline deadline_;
  std::uint64_t entries_ = 0;
  std::uint64_t next_ = 0;
  bool moved_ = true;
};

}  // namespace

Result<void> remove_tree(const std::string& path, std::chrono::steady_clock::time_point deadline) {
  const auto slash = path.rfind('/');
  const auto parent = slash == std::string::npos ? std::string{"."} : path.substr(0, slash + 1);
  const UniqueFd above{::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!above) {
    if (errno == ENOENT) return {};
    return os_error(Blame::node, "open " + parent, errno);
  }
  auto top =
      open_folder(above.value(), path.c_str() + (slash == std::string::npos ? 0 : slash + 1), path);
  if (!top) {
    if (top.error().os_errno == ENOENT) return {};
    return std::move(top).error();
  }
  TreeRemoval removal{path, *std::move(top), deadline};
  if (auto emptied = removal.run(); !emptied) return emptied;
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
    return os_error(Blame::node, "remove " + path, errno);
  }
  return {};
}

}  // namespace cloud
