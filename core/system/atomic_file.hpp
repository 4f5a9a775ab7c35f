// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace cloud {

struct FileOwner {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct AtomicWrite {
  mode_t mode = 0600;
  std::optional<FileOwner> owner = {};  ///< given to the new file by descriptor, before the rename
  bool durable = true;                  ///< fsync the file and its directory
  std::optional<uid_t> reader = {};     ///< who may read it besides its owner: see access_list.hpp
};

/// Where write_file() puts the new content first: in the same folder.
[[nodiscard]] std::string temporary_name(const std::string& name);

/// Replaces `name` in the directory `dir_fd` as a whole: writes its temporary_name()
/// (O_EXCL|O_NOFOLLOW), fsync, rename, fsync of the directory. After a crash the old or the new
/// content is there, never a mixture. On failure (ENOSPC, EDQUOT, ...) the temporary file is
/// removed. One writer at a time: callers hold a lock or are alone. Blame::node.
[[nodiscard]] Result<void> write_file_at(int dir_fd, const std::string& name,
                                         std::string_view content, const AtomicWrite& how);
/// The same by path.
[[nodiscard]] Result<void> write_file(const std::string& path, std::string_view content,
                                      const AtomicWrite& how);

/// The whole content; an absent file is an Error with os_errno ENOENT. Refuses more than `limit`
/// bytes.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit = 64 << 20);
/// The same of a file that is open; `name` is for messages.
[[nodiscard]] Result<std::string> read_file(int fd, const std::string& name, std::size_t limit);

/// mkdir -p below a root-owned parent: mode and owner are set on what it creates.
[[nodiscard]] Result<void> make_directories(const std::string& path, mode_t mode);

}  // namespace cloud
