// SPDX-License-Identifier: Apache-2.0
#include "core/system/tree_removal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

// A folder below another that has been opened for reading.
Result<Folder> open_folder(int parent, const char* name, const std::string& path) {
  UniqueFd fd{::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!fd) return os_error(Blame::node, "open " + path, errno);
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
  TreeRemoval(std::string path, Folder top, dev_t device)
      : path_{std::move(path)}, top_{std::move(top)}, fd_{::dirfd(top_.get())}, device_{device} {}

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
  Result<void> remove_child(const char* name) {
    if (::unlinkat(fd_, name, 0) == 0 || errno == ENOENT) return {};
    const auto child = path_ + "/" + name;
    struct stat status {};
    if (errno != EISDIR && errno != EPERM) return os_error(Blame::node, "remove " + child, errno);
    const int problem = errno;
    if (::fstatat(fd_, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return os_error(Blame::node, "stat " + child, errno);
    }
    if (!S_ISDIR(status.st_mode)) return os_error(Blame::node, "remove " + child, problem);
    if (status.st_dev != device_) return mount_point(child);
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

  static Error mount_point(const std::string& path) {
    return {Blame::node, path + " is a mount point and was left alone: unmount it"};
  }

  std::string path_;
  Folder top_;
  int fd_;
  dev_t device_;
  std::uint64_t next_ = 0;
  bool moved_ = true;
};

}  // namespace

Result<void> remove_tree(const std::string& path) {
  auto top = open_folder(AT_FDCWD, path.c_str(), path);
  if (!top) {
    if (top.error().os_errno == ENOENT) return {};
    return std::move(top).error();
  }
  struct stat status {};
  if (::fstat(::dirfd(top->get()), &status) != 0) {
    return os_error(Blame::node, "stat " + path, errno);
  }
  TreeRemoval removal{path, *std::move(top), status.st_dev};
  if (auto emptied = removal.run(); !emptied) return emptied;
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
    return os_error(Blame::node, "remove " + path, errno);
  }
  return {};
}

}  // namespace cloud
