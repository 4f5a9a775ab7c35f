// SPDX-License-Identifier: Apache-2.0
#include "core/system/tree_removal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

#include "core/system/folder_beneath.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

// A user who had a folder of their own in there could have mounted what never answers, in layers.
constexpr int kMountsMax = 1000;

// Detaches what is mounted at `name`, itself no link to be followed. What was mounted is untouched.
Result<void> detach(int parent, const char* name, const std::string& path) {
  const auto place = "/proc/self/fd/" + std::to_string(parent) + "/" + name;
  if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return {};
  return os_error(Blame::node, path + " is a mount point, and cannot be unmounted", errno);
}

// A folder below another, opened for reading. What is mounted is not entered: a user's home may be.
Result<Folder> open_folder(int parent, const char* name, const std::string& path,
                           const TreeOwners& owners) {
  UniqueFd fd;
  for (int mounts = 0;; ++mounts) {
    fd = open_folder_beneath(parent, name);
    if (fd) break;
    if (errno != EXDEV || mounts == kMountsMax) return os_error(Blame::node, "open " + path, errno);
    if (auto detached = detach(parent, name, path); !detached) return std::move(detached).error();
  }
  struct stat status {};
  if (::fstat(fd.value(), &status) != 0) return os_error(Blame::node, "stat " + path, errno);
  if (!owners.has(status.st_uid) && status.st_uid != ::geteuid()) {
    Error foreign{Blame::node, path + " belongs to uid " + std::to_string(status.st_uid) +
                                   ", a stranger to what is being removed, and was left alone: "
                                   "see whose it is"};
    foreign.os_errno = EPERM;
    return foreign;
  }
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
  TreeRemoval(std::string path, Folder top, Deadline deadline, const TreeOwners& owners)
      : path_{std::move(path)},
        top_{std::move(top)},
        fd_{::dirfd(top_.get())},
        deadline_{deadline},
        owners_{owners} {}

  Result<void> run() {
    while (moved_) {
      moved_ = false;
      ::rewinddir(top_.get());
      while (const auto* entry = ::readdir(top_.get())) {
        if (is_dots(entry->d_name)) continue;
        if (auto removed = remove_child(entry->d_name); !removed) return removed;
      }
    }
    return foreign_;
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

  // A file, or a mount on one. True where the entry is gone, false where it is a folder.
  Result<bool> unlink_file(int folder, const char* name, const std::string& path) {
    for (int mounts = 0;; ++mounts) {
      if (::unlinkat(folder, name, 0) == 0 || errno == ENOENT) return true;
      if (errno == EBUSY && mounts < kMountsMax) {
        if (auto detached = detach(folder, name, path); !detached) return detached.error();
        continue;
      }
      const int problem = errno;
      struct stat status {};
      const bool may_be_folder = problem == EISDIR || problem == EPERM;
      if (may_be_folder && ::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISDIR(status.st_mode)) {
        return false;
      }
      return os_error(Blame::node, "remove " + path, problem);
    }
  }

  // What is a stranger's is remembered and passed over.
  Result<void> pass_over(Error error) {
    if (error.os_errno != EPERM) return error;
    if (foreign_) foreign_ = std::move(error);
    return {};
  }

  Result<void> remove_child(const char* name) {
    if (auto in_time = check_time(); !in_time) return in_time;
    const auto child = path_ + "/" + name;
    const auto removed = unlink_file(fd_, name, child);
    if (!removed) return removed.error();
    if (*removed) return {};
    auto folder = open_folder(fd_, name, child, owners_);
    if (!folder) return pass_over(std::move(folder).error());
    if (auto emptied = empty(folder->get(), child); !emptied) return emptied;
    if (::unlinkat(fd_, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno == ENOTEMPTY && !foreign_) return {};
    return os_error(Blame::node, "remove " + child, errno);
  }

  Result<void> empty(DIR* folder, const std::string& path) {
    while (const auto* entry = ::readdir(folder)) {
      if (is_dots(entry->d_name)) continue;
      if (auto in_time = check_time(); !in_time) return in_time;
      const auto child = path + "/" + entry->d_name;
      const auto removed = unlink_file(::dirfd(folder), entry->d_name, child);
      if (!removed) return removed.error();
      if (*removed) continue;
      if (auto up = move_up(::dirfd(folder), entry->d_name, child); !up) return up;
    }
    return {};
  }

  Result<void> move_up(int from, const char* name, const std::string& path) {
    // Where its owner is a stranger, it stays where it was found.
    if (auto own = open_folder(from, name, path, owners_); !own) {
      return pass_over(std::move(own).error());
    }
    for (int mounts = 0;;) {
      const auto to = ".removing-" + std::to_string(next_++);
      if (::renameat2(from, name, fd_, to.c_str(), RENAME_NOREPLACE) == 0) break;
      // Of a removal that was killed.
      if (errno == EEXIST) continue;
      if ((errno == EBUSY || errno == EXDEV) && mounts++ < kMountsMax) {
        if (auto detached = detach(from, name, path); !detached) return detached;
        continue;
      }
      return os_error(Blame::node, "remove " + path, errno);
    }
    moved_ = true;
    return {};
  }

  std::string path_;
  Folder top_;
  int fd_;
  Deadline deadline_;
  const TreeOwners& owners_;
  Result<void> foreign_;  ///< the first folder of a stranger's
  std::uint64_t entries_ = 0;
  std::uint64_t next_ = 0;
  bool moved_ = true;
};

}  // namespace

Result<void> remove_tree(const std::string& path, std::chrono::steady_clock::time_point deadline,
                         const TreeOwners& owners) {
  const auto slash = path.rfind('/');
  const auto parent = slash == std::string::npos ? std::string{"."} : path.substr(0, slash + 1);
  const UniqueFd above{::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!above) {
    if (errno == ENOENT) return {};
    return os_error(Blame::node, "open " + parent, errno);
  }
  const auto* name = path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
  auto top = open_folder(above.value(), name, path, owners);
  if (!top) {
    if (top.error().os_errno == ENOENT) return {};
    return std::move(top).error();
  }
  TreeRemoval removal{path, *std::move(top), deadline, owners};
  if (auto emptied = removal.run(); !emptied) return emptied;
  if (::unlinkat(above.value(), name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return os_error(Blame::node, "remove " + path, errno);
  }
  return {};
}

}  // namespace cloud
