// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/stage/session.hpp"

namespace cloud {

/// Whether a stage applies to a job with a machine of that type, or to one without ("").
[[nodiscard]] bool applies(const StageConfig& stage, std::string_view type);

/// Whether any stage of the list is for jobs without a machine, too.
[[nodiscard]] bool has_stage_for_all_jobs(const std::vector<StageConfig>& stages);

/// Whether the environment holds any of our SPANK_cloud* variables.
[[nodiscard]] bool asks_for_machine(const HookInput& input);

/// Where the output of a job's site programs goes; kept until the job's epilog.
[[nodiscard]] std::string program_output_file(const Session& session);

}  // namespace cloud
