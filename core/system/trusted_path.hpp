// SPDX-License-Identifier: Apache-2.0
//
// The rule of spank-cloud/base/trusted_path.hpp, with our errors: the configuration, lease files,
// site programs, images and backends all go by it.
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// An O_PATH descriptor of what root may load, run or go by. The error (Blame::site) names the
/// offending component, its owner or mode, and what to do; a missing file says so, with os_errno.
[[nodiscard]] Result<UniqueFd> open_trusted_path(const std::string& path);

/// Whether there is one.
[[nodiscard]] Result<void> require_trusted(const std::string& path);

/// The whole content of such a regular file, of at most `limit` bytes: read from the descriptor
/// that was looked at.
[[nodiscard]] Result<std::string> read_trusted_file(const std::string& path, std::size_t limit);

}  // namespace cloud
