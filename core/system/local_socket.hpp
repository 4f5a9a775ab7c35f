// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// Binds or connects a local stream socket in a folder, whatever the length of its path.
[[nodiscard]] Result<UniqueFd> listen_at(const std::string& dir, const std::string& name);
[[nodiscard]] Result<UniqueFd> connect_to(const std::string& dir, const std::string& name);

}  // namespace cloud
