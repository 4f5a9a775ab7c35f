// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <vector>

namespace cloud {

/// The processes that descend from this one.
[[nodiscard]] std::vector<pid_t> descendants();

/// Sends a signal to all of them. false where there are some, and all are another user's (sudo).
bool signal_descendants(int number);

/// Kills and reaps all of them, whatever they start meanwhile. This process has to be their
/// subreaper. Gives up after that time where they are another user's.
void kill_descendants(std::chrono::milliseconds patience);

}  // namespace cloud
