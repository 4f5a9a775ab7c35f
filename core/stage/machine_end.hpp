// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "core/backend/backend.hpp"
#include "core/error.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// What a backend says goes to our log.
[[nodiscard]] BackendHost logging_host(std::function<bool()> cancelled);

/// Ends the keeper and the machine, kills what is left in its groups, and removes all of it. Every
/// step is taken, whatever those before it said, and each is idempotent. An error means that
/// something is left, which the record names: MachineRecord::disconnected tells whether the
/// machine's address can be given to another one nevertheless.
[[nodiscard]] Result<void> end_machine(Session& session);

}  // namespace cloud
