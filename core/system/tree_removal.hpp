// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"

namespace cloud {

/// Removes a directory tree, however deep, without following symbolic links or crossing mounts;
/// absent is success. May be killed and called again. Blame::node.
[[nodiscard]] Result<void> remove_tree(const std::string& path);

}  // namespace cloud
