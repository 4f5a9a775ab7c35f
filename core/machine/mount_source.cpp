// SPDX-License-Identifier: Apache-2.0
#include "core/machine/mount_source.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "core/job/text_split.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

struct Identity {
  dev_t device = 0;
  ino_t number = 0;
  bool operator==(const Identity&) const = default;
};

std::optional<Identity> identity_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

// Whether the folder `wanted` is `folder` or above it.
bool is_at_or_above(const Identity& wanted, int folder) {
  UniqueFd at{::openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  for (std::optional<Identity> last; at;) {
    const auto here = identity_of(at.value());
    if (!here || here == wanted) return here.has_value();
    // ".." of the root is the root.
    if (here == last) return false;
    last = here;
    at.reset(::openat(at.value(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return false;
}

// "\040" for a blank, as mountinfo has it.
std::string unescaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && is_digit(i + 1) && is_digit(i + 2) &&
        is_digit(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool is_at_or_below(const std::string& path, const std::string& folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

Result<void> require_foreign_source(int source, const std::vector<std::string>& own,
                                    const std::string& what) {
  const auto wanted = identity_of(source);
  if (!wanted) return os_error(Blame::user, what, errno);
  struct stat status {};
  const bool is_folder = ::fstat(source, &status) == 0 && S_ISDIR(status.st_mode);
  for (const auto& path : own) {
    const UniqueFd folder{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!folder) continue;
    const auto ours = identity_of(folder.value());
    if (is_folder && is_at_or_above(*wanted, folder.value())) {
      return Error{Blame::user, what + " contains " + path +
                                    ", where machines' own files are: choose a folder in it"};
    }
    if (ours && is_folder && is_at_or_above(*ours, source)) {
      return Error{Blame::user, what + " lies in " + path + ", where machines' own files are"};
    }
    if (!is_folder &&
        is_at_or_below(path_of_descriptor(source), path_of_descriptor(folder.value()))) {
      return Error{Blame::user, what + " lies in " + path + ", where machines' own files are"};
    }
  }
  return {};
}

std::size_t count_mounts(const std::string& mountinfo, const std::string& path) {
  // What is copied begins with a part of the mount that the source is on.
  std::size_t count = 1;
  for (const auto& line : split(mountinfo, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 5) continue;
    const auto point = unescaped(std::string{fields[4]});
    if (point != path && is_at_or_below(point, path)) ++count;
  }
  return count;
}

std::string path_of_descriptor(int fd) {
  std::array<char, PATH_MAX> target{};
  const auto link = "/proc/self/fd/" + std::to_string(fd);
  const auto size = ::readlink(link.c_str(), target.data(), target.size());
  return size <= 0 ? std::string{} : std::string{target.data(), static_cast<std::size_t>(size)};
}

}  // namespace cloud
