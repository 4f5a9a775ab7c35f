// SPDX-License-Identifier: Apache-2.0
//
// What Slurm says of itself, and what of it spank-cloud needs. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cloud {

/// Names and values of `scontrol show config`.
using SlurmSettings = std::map<std::string, std::string>;
[[nodiscard]] SlurmSettings parse_slurm_settings(std::string_view text);

struct SlurmFinding {
  enum class Level { ok, note, problem } level = Level::ok;
  std::string setting;
  std::string text;
};
/// One for each setting that matters; the text of one that is wrong says what it shall be.
[[nodiscard]] std::vector<SlurmFinding> judge_slurm_settings(const SlurmSettings& settings);

}  // namespace cloud
