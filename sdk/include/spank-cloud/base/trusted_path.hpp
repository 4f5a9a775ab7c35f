// SPDX-License-Identifier: Apache-2.0
//
// The one rule of whom root believes: a file, or a folder, is trusted where it and every folder on
// the way to it, links followed, belong to root and nobody else may write to them. A sticky folder
// such as /tmp is none. Who opens a path by this rule and works with the descriptor uses what was
// looked at, whatever becomes of the path.
#ifndef SPANK_CLOUD_BASE_TRUSTED_PATH_HPP
#define SPANK_CLOUD_BASE_TRUSTED_PATH_HPP

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace cloud {

/// What open_trusted() found: a descriptor, or why there is none.
struct TrustedFile {
  int fd = -1;           ///< O_PATH; the caller closes it
  std::string path;      ///< without links
  std::string problem;   ///< "" where fd is open; names the component, and what to do
  int error_number = 0;  ///< of the system call that failed, 0 where the rule says no
};

namespace trusted_path_detail {

inline std::string mode_text(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

// "" where it may be trusted. The advice never opens a folder or gives one away: what a stranger
// could write has to be looked at, or done without.
inline std::string complaint(const struct stat& status, const std::string& path, bool is_last) {
  const auto* elsewhere =
      is_last ? "" : ": choose a path of which all folders are root's, and not below this one";
  if (status.st_uid != 0) {
    return path + " belongs to uid " + std::to_string(status.st_uid) + " and must belong to root" +
           (is_last ? ": look at what is in it, and put a copy of root's own in its place"
                    : elsewhere);
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return path + " (mode " + mode_text(status.st_mode) + ") is writable by others than root" +
         (is_last ? ": look at what is in it, then chmod go-w " + path : elsewhere);
}

}  // namespace trusted_path_detail

/// Opens what stands at an absolute path, as O_PATH, by the rule above: each component is opened in
/// the one before it, and looked at through its descriptor.
[[nodiscard]] inline TrustedFile open_trusted(const std::string& path) {
  constexpr int kLinksMax = 40;
  TrustedFile found;
  const auto fail = [&](std::string problem, int number) {
    if (found.fd >= 0) ::close(found.fd);
    found.fd = -1;
    found.problem = std::move(problem);
    found.error_number = number;
    return found;
  };
  const auto fail_at = [&](const std::string& where, int number) {
    return fail(where + ": " + std::strerror(number), number);
  };
  if (path.empty() || path.front() != '/') return fail("'" + path + "' is not an absolute path", 0);
  // What is still to be walked, the next component last.
  std::vector<std::string> ahead;
  const auto push = [&](const std::string& text) {
    for (std::size_t end = text.size(); end > 0;) {
      const auto slash = text.rfind('/', end - 1);
      const auto begin = slash == std::string::npos ? 0 : slash + 1;
      if (end > begin) ahead.push_back(text.substr(begin, end - begin));
      end = slash == std::string::npos ? 0 : slash;
    }
  };
  std::vector<std::string> walked;
  const auto text_of = [&] {
    std::string text;
    for (const auto& part : walked) text += "/" + part;
    return text.empty() ? std::string{"/"} : text;
  };
  push(path);
  int links = 0;
  found.fd = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (found.fd < 0) return fail_at("/", errno);
  for (;;) {
    struct stat status {};
    if (::fstat(found.fd, &status) != 0) return fail_at(text_of(), errno);
    auto problem = trusted_path_detail::complaint(status, text_of(), ahead.empty());
    if (!problem.empty()) return fail(std::move(problem), 0);
    if (ahead.empty()) {
      found.path = text_of();
      return found;
    }
    const auto name = ahead.back();
    ahead.pop_back();
    if (name == ".") continue;
    const int next = ::openat(found.fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) {
      const int number = errno;
      return fail_at((text_of() == "/" ? "" : text_of()) + "/" + name, number);
    }
    if (name == "..") {
      if (!walked.empty()) walked.pop_back();
    } else {
      struct stat link {};
      std::array<char, PATH_MAX> target{};
      const bool is_link = ::fstat(next, &link) == 0 && S_ISLNK(link.st_mode);
      const auto size = is_link ? ::readlinkat(next, "", target.data(), target.size()) : 0;
      if (is_link) {
        ::close(next);
        if (size <= 0) return fail_at(text_of() + "/" + name, size < 0 ? errno : EINVAL);
        if (++links > kLinksMax) return fail_at(path, ELOOP);
        const std::string to{target.data(), static_cast<std::size_t>(size)};
        push(to);
        if (to.front() != '/') continue;
        walked.clear();
        const int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) return fail_at("/", errno);
        ::close(found.fd);
        found.fd = root;
        continue;
      }
      walked.push_back(name);
    }
    ::close(found.fd);
    found.fd = next;
  }
}

/// Opens what a descriptor of open_trusted() stands for, for reading. -1 and errno where it fails.
[[nodiscard]] inline int open_for_reading(int trusted) {
  const auto name = "/proc/self/fd/" + std::to_string(trusted);
  return ::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

}  // namespace cloud

#endif
