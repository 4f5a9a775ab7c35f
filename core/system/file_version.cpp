// SPDX-License-Identifier: Apache-2.0
#include "core/system/file_version.hpp"

namespace cloud {

std::string version_of(const struct stat& status) {
  const auto time = [](const timespec& at) {
    return std::to_string(at.tv_sec) + "." + std::to_string(at.tv_nsec);
  };
  return std::to_string(status.st_dev) + " " + std::to_string(status.st_ino) + " " +
         std::to_string(status.st_size) + " " + time(status.st_mtim) + " " + time(status.st_ctim);
}

}  // namespace cloud
