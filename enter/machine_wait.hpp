// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/job/published_state.hpp"

namespace cloud {

/// Waits until the machine is ready. After 2 s, and then every 10 s, says on stderr what it is
/// waiting for. An error where the machine has failed, has ended, or its state is gone.
[[nodiscard]] Result<PublishedState> wait_until_ready(const std::string& dir);

}  // namespace cloud
