// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <spank-cloud/base/uninterrupted.hpp>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// A folder below another, opened for reading, where somebody else can change what is in them at
/// any moment: no link is followed, and nothing that is mounted is entered (EXDEV), also where it
/// is a bind mount of the same file system. Empty, and errno, where it cannot be opened.
[[nodiscard]] inline UniqueFd open_folder_beneath(int parent, const char* path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return UniqueFd{static_cast<int>(
      uninterrupted([&] { return ::syscall(SYS_openat2, parent, path, &how, sizeof how); }))};
}

}  // namespace cloud
