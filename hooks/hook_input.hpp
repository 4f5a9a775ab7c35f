// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// Whether `--version` is all that was asked, and answers it: `cloudctl doctor` compares the
/// answers of all programs.
[[nodiscard]] bool has_told_version(int argc, char** argv);

/// The configuration named by `--config FILE`, or the default; a wrong command line is an Error.
[[nodiscard]] Result<std::string> config_file_from(int argc, char** argv);

/// The environment of this process as a hook's input. SIGTERM, with which slurmd ends a hook that
/// takes too long, sets cancelled(). SIGPIPE is ignored.
[[nodiscard]] Result<HookInput> hook_input();

/// Closes what slurmd may have left open beyond stderr.
void close_inherited_files();

}  // namespace cloud
