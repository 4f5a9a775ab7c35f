// SPDX-License-Identifier: Apache-2.0
#include "tools/file_printer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/system/harmless_text.hpp"
#include "core/system/unique_fd.hpp"
#include "core/system/write_all.hpp"

namespace cloud {
Result<void> print_file(const std::string& path, Printing how) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (!file) return os_error(Blame::node, "open " + path, errno);
  if (how.headline && !write_all(STDOUT_FILENO, "==> " + path + " <==\n")) {
    return os_error(Blame::user, "print " + path, errno);
  }
  std::array<char, 16384> buffer{};
  HarmlessText filter;
  for (;;) {
    const auto count = ::read(file.value(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(Blame::node, "read " + path, errno);
    const std::string_view piece{buffer.data(), static_cast<std::size_t>(count)};
    const auto text = !how.harmless ? std::string{piece}
                      : count == 0  ? filter.end()
                                    : filter.pass(piece);
    if (!write_all(STDOUT_FILENO, text)) return os_error(Blame::user, "print " + path, errno);
    if (count == 0) return {};
  }
}

}  // namespace cloud
