// SPDX-License-Identifier: Apache-2.0
//
// The built-in actions. Each writes what it is about to do into the record before it does it, and
// each undo is idempotent: it works from the record alone, whatever was done of it.
#pragma once

#include "core/error.hpp"
#include "core/stage/session.hpp"

namespace cloud {

[[nodiscard]] Result<void> lease_address(Session& session);
[[nodiscard]] Result<void> release_address(Session& session);

/// Chooses ids, makes the machine's directory and lets the backend prepare it.
[[nodiscard]] Result<void> create_machine(Session& session);
/// See machine_end.hpp.
[[nodiscard]] Result<void> destroy_machine(Session& session);

}  // namespace cloud
