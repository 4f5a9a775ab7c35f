// SPDX-License-Identifier: Apache-2.0
#include "tools/file_printer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/system/unique_fd.hpp"
#include "core/system/write_all.hpp"

namespace cloud {
namespace {

char harmless(char c) {
  const auto byte = static_cast<unsigned char>(c);
  const bool is_control = byte < 0x20 || byte == 0x7f;
  return is_control && c != '\n' && c != '\r' && c != '\t' ? '?' : c;
}

}  // namespace

Result<void> print_file(const std::string& path, Printing how) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (!file) return os_error(Blame::node, "open " + path, errno);
  if (how.headline && !write_all(STDOUT_FILENO, "==> " + path + " <==\n")) {
    return os_error(Blame::user, "print " + path, errno);
  }
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto count = ::read(file.value(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(Blame::node, "read " + path, errno);
    if (count == 0) return {};
    std::string text{buffer.data(), static_cast<std::size_t>(count)};
    if (how.harmless) {
      for (auto& c : text) c = harmless(c);
    }
    if (!write_all(STDOUT_FILENO, text)) return os_error(Blame::user, "print " + path, errno);
  }
}

}  // namespace cloud
