// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/config/site_config.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// Runs the prolog's stages as a transaction: where one fails, it and those before it are undone in
/// reverse order. A fault of the user, of an image or of one stage fails the job alone: the reason
/// is published for the plugin to show, and the result is 0. Returns the exit status for slurmd:
/// non-zero drains the node.
[[nodiscard]] int run_prolog(const LoadedConfig& loaded, const HookInput& input);

/// The configuration without the site's own programs: for a clean-up that slurmd did not ask for,
/// and whose environment would mislead them.
[[nodiscard]] LoadedConfig without_site_programs(LoadedConfig loaded);

/// Runs the epilog's stages, all of them, whatever failed before, and then removes what the record
/// still names. Idempotent; 0 where the end state is clean, whoever cleaned. `leave_alone` is asked
/// under the record's lock: a prolog or another epilog may have been faster.
[[nodiscard]] int run_epilog(const LoadedConfig& loaded, const HookInput& input,
                             const std::function<bool(const JobRecord&)>& leave_alone = {});

/// The same for a job whose record the caller has locked and looked at.
[[nodiscard]] int run_epilog(const LoadedConfig& loaded, const HookInput& input, LockedJob locked);

/// Goes on with an end that another hook began: without the site's programs, in `limit`, and not
/// where somebody else is at it, or a next run of the job has begun.
void finish_end(const LoadedConfig& loaded, const std::string& node, std::uint64_t job_id,
                std::chrono::milliseconds limit);

}  // namespace cloud
