// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/job/job_context.hpp"
#include "core/job/record_store.hpp"
#include "core/stage/time_budget.hpp"

namespace cloud {

/// What a hook was started with.
struct HookInput {
  JobContext job;
  std::vector<std::string> environment;  ///< "KEY=value", handed to site programs unchanged
  Lookup lookup;
  std::function<bool()> cancelled;  ///< slurmd has asked us to end
};

/// One job's record under its lock, and all that an action needs.
struct Session {
  const SiteConfig& config;
  const HookInput& input;
  RecordStore store;
  LockedJob locked;
  JobRecord record;
  TimeBudget budget;  ///< of the hook

  [[nodiscard]] Result<void> save() const { return locked.save(record); }
};

/// CLOCK_REALTIME in microseconds, for traces.
[[nodiscard]] std::int64_t now_us();

}  // namespace cloud
