// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// Runs a site's program, or every executable file of a site's folder in name order, with the
/// environment that slurmd gave us. Hidden files and what editors and package managers leave
/// (~, .rpmsave, .rpmnew, .dpkg-*, .bak, .swp) are passed over. A file that others than root can
/// write is refused. The error (Blame::node) names the program and its exit status. Output goes to
/// `output_file`, whose end is in the error.
[[nodiscard]] Result<void> run_site_program(const std::string& path, const StageConfig& stage,
                                            const HookInput& input, const std::string& output_file);

}  // namespace cloud
