// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <spank-cloud/base/uninterrupted.hpp>
#include <string>
#include <string_view>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// Writes one value to an open file of a group. False and errno where the kernel refuses it.
inline bool write_cgroup_value(const UniqueFd& file, std::string_view value) {
  // One call: the kernel takes each as a value of its own.
  const auto size = static_cast<ssize_t>(value.size());
  return file &&
         uninterrupted([&] { return ::write(file.value(), value.data(), value.size()); }) == size;
}

inline bool write_cgroup_value(const std::string& file, std::string_view value) {
  return write_cgroup_value(UniqueFd{::open(file.c_str(), O_WRONLY | O_CLOEXEC)}, value);
}

}  // namespace cloud
