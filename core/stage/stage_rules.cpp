// SPDX-License-Identifier: Apache-2.0
#include "core/stage/stage_rules.hpp"

#include <algorithm>
#include <chrono>

namespace cloud {

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool applies(const StageConfig& stage, std::string_view type) {
  switch (stage.when) {
    case StageConfig::When::always:
      return true;
    case StageConfig::When::cloud:
      return !type.empty();
    case StageConfig::When::types:
      return std::find(stage.when_types.begin(), stage.when_types.end(), type) !=
             stage.when_types.end();
  }
  return false;
}

bool has_stage_for_all_jobs(const std::vector<StageConfig>& stages) {
  return std::any_of(stages.begin(), stages.end(),
                     [](const StageConfig& stage) { return applies(stage, ""); });
}

bool asks_for_machine(const HookInput& input) {
  for (const auto* name : {"SPANK_cloud", "SPANK_cloud_create", "SPANK_cloud_type",
                           "SPANK_cloud_image", "SPANK_cloud_run", "SPANK_cloud_mount",
                           "SPANK_cloud_ready", "SPANK_cloud_timeout", "SPANK_cloud_user_data"}) {
    if (input.lookup(name)) return true;
  }
  return false;
}

std::string program_output_file(const Session& session) {
  return session.locked.path() + "/programs.log";
}

}  // namespace cloud
