// SPDX-License-Identifier: Apache-2.0
#ifndef SPANK_CLOUD_IMAGE_FILE_HPP
#define SPANK_CLOUD_IMAGE_FILE_HPP

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud {
namespace sdk {

/// Opens a path inside a root file system, of which `root` is a descriptor: symbolic links stay
/// inside, magic links are refused, and what openat2(2)'s flags in `resolve` refuse. -1 and errno
/// where it fails.
[[nodiscard]] inline int open_in_root(int root, const std::string& path, std::uint64_t flags,
                                      std::uint64_t resolve = 0) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  // EAGAIN: something was renamed meanwhile, anywhere on the host, and ".." could not be trusted.
  // EINTR: a signal.
  constexpr int kAttempts = 1000;
  for (int attempt = 1;; ++attempt) {
    const auto file =
        static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
    if (file >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == kAttempts) return file;
  }
}

/// The text of a regular file in there, at most 4 MiB of it; "" where it cannot be read.
[[nodiscard]] inline std::string read_in_root(int root, const std::string& path) {
  constexpr std::size_t kLimit = std::size_t{4} << 20;
  const Descriptor file{open_in_root(root, path, O_RDONLY | O_NONBLOCK)};
  struct stat status {};
  if (!file || ::fstat(file.value(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto count = ::read(file.value(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || text.size() > kLimit) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace sdk
}  // namespace cloud

#endif
