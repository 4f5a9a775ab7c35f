// SPDX-License-Identifier: Apache-2.0
#include "core/system/trusted_path.hpp"

#include <cerrno>
#include <spank-cloud/base/trusted_path.hpp>

#include "core/system/atomic_file.hpp"

namespace cloud {

Result<UniqueFd> open_trusted_path(const std::string& path) {
  auto found = open_trusted(path);
  if (found.fd < 0) return Error{Blame::site, std::move(found.problem), found.error_number};
  return UniqueFd{found.fd};
}

Result<void> require_trusted(const std::string& path) {
  auto opened = open_trusted_path(path);
  if (!opened) return std::move(opened).error();
  return {};
}

Result<std::string> read_trusted_file(const std::string& path, std::size_t limit) {
  auto opened = open_trusted_path(path);
  if (!opened) return std::move(opened).error();
  const UniqueFd file{open_for_reading(opened->value())};
  if (!file) return os_error(Blame::site, "open " + path, errno);
  return read_file(file.value(), path, limit);
}

}  // namespace cloud
