// SPDX-License-Identifier: Apache-2.0
#include "core/machine/last_line.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/backend/one_line.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

std::string last_line_of(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat status {};
  if (!file || ::fstat(file.value(), &status) != 0) return {};
  std::array<char, 4096> buffer{};
  const auto from = std::max<off_t>(status.st_size - static_cast<off_t>(buffer.size()), 0);
  const auto count = ::pread(file.value(), buffer.data(), buffer.size(), from);
  return last_line_in({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))});
}

std::string last_line_in(std::string_view text) {
  while (!text.empty()) {
    const auto begin = text.find_last_of("\r\n");
    auto line = one_line(std::string{text.substr(begin + 1)}.c_str(), 200);
    if (line.find_first_not_of(' ') != std::string::npos) return line;
    if (begin == std::string_view::npos) break;
    text = text.substr(0, begin);
  }
  return {};
}

}  // namespace cloud
