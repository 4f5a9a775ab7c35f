// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/printed.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "core/backend/one_line.hpp"

namespace cloud {

Printed::Printed() : file_{::memfd_create("printed", MFD_CLOEXEC)} {
  if (!file_) return;
  ::dup2(file_.value(), STDOUT_FILENO);
  ::dup2(file_.value(), STDERR_FILENO);
}

std::string Printed::text() const {
  // What stdio holds back would be printed later.
  std::fflush(stdout);
  std::array<char, 101> buffer{};
  const auto count = ::pread(file_.value(), buffer.data(), buffer.size() - 1, 0);
  return count > 0 ? one_line(buffer.data(), buffer.size()) : std::string{};
}

}  // namespace cloud
