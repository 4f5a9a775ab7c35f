// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"

namespace cloud {

/// Whether root may load or run what stands at an absolute path: it exists, and it and every parent
/// directory (after resolving symbolic links) belong to root and are writable by root only. A
/// sticky parent such as /tmp is refused, too. The error (Blame::site) names the offending
/// component, its owner or mode, and the chown/chmod that mends it; a missing file says so.
[[nodiscard]] Result<void> require_trusted(const std::string& path);

}  // namespace cloud
