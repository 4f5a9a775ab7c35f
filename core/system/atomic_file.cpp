// SPDX-License-Identifier: Apache-2.0
#include "core/system/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/system/access_list.hpp"
#include "core/system/unique_fd.hpp"
#include "core/system/write_all.hpp"

namespace cloud {
namespace {

Result<void> fill(int fd, const std::string& name, std::string_view content,
                  const AtomicWrite& how) {
  if (!write_all(fd, content)) return os_error(Blame::node, "write " + name, errno);
  if (how.owner && ::fchown(fd, how.owner->uid, how.owner->gid) != 0) {
    return os_error(Blame::node, "change the owner of " + name, errno);
  }
  if (how.reader) {
    if (auto set = set_mode_with_reader(fd, how.mode, *how.reader); !set)
      return std::move(set).error().within(name);
  } else if (::fchmod(fd, how.mode) != 0) {
    return os_error(Blame::node, "change the mode of " + name, errno);
  }
  if (how.durable && ::fsync(fd) != 0) return os_error(Blame::node, "fsync " + name, errno);
  return {};
}

}  // namespace

std::string temporary_name(const std::string& name) {
  return "." + name + ".tmp";
}

Result<void> write_file_at(int dir_fd, const std::string& name, std::string_view content,
                           const AtomicWrite& how) {
  const auto temporary = temporary_name(name);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd file{::openat(dir_fd, temporary.c_str(), kFlags, 0600)};
  if (!file && errno == EEXIST) {
    // Left by a writer that was killed.
    ::unlinkat(dir_fd, temporary.c_str(), 0);
    file.reset(::openat(dir_fd, temporary.c_str(), kFlags, 0600));
  }
  if (!file) return os_error(Blame::node, "create " + name, errno);
  auto done = fill(file.value(), name, content, how);
  if (done && ::renameat(dir_fd, temporary.c_str(), dir_fd, name.c_str()) != 0) {
    done = os_error(Blame::node, "rename to " + name, errno);
  }
  if (!done) {
    ::unlinkat(dir_fd, temporary.c_str(), 0);
    return done;
  }
  if (how.durable && ::fsync(dir_fd) != 0) {
    return os_error(Blame::node, "fsync the folder of " + name, errno);
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view content, const AtomicWrite& how) {
  const auto slash = path.rfind('/');
  const auto folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd open{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!open) return os_error(Blame::node, "open " + folder, errno);
  auto done = write_file_at(open.value(), path.substr(slash + 1), content, how);
  if (!done) return std::move(done).error().within(path);
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  // O_NONBLOCK: a FIFO in the place of a file shall not hang us.
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file) return os_error(Blame::node, "open " + path, errno);
  return read_file(file.value(), path, limit);
}

Result<std::string> read_file(int fd, const std::string& name, std::size_t limit) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return os_error(Blame::node, "stat " + name, errno);
  if (!S_ISREG(status.st_mode)) return Error{Blame::node, name + " is not a regular file"};
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const auto count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(Blame::node, "read " + name, errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > limit) {
      return Error{Blame::node, name + " is longer than " + std::to_string(limit) + " bytes"};
    }
  }
}

Result<void> make_directories(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const auto folder = path.substr(0, end);
    if (::mkdir(folder.c_str(), mode) == 0) {
      if (::chmod(folder.c_str(), mode) != 0)
        return os_error(Blame::node, "chmod " + folder, errno);
    } else if (errno != EEXIST) {
      return os_error(Blame::node, "make the folder " + folder, errno);
    }
    if (end == std::string::npos) break;
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return Error{Blame::node, path + " is not a folder"};
  }
  return {};
}

}  // namespace cloud
