// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <string>

namespace cloud {

/// What changes when a file is replaced or written to: device, inode, size, times of change. One
/// line.
[[nodiscard]] std::string version_of(const struct stat& status);

}  // namespace cloud
