// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/error.hpp"
#include "core/job/request.hpp"

namespace cloud {

/// What slurmd says of the job in the environment of a Prolog or Epilog. Set by slurmd itself, so
/// trusted, but checked: a hook may be called by hand.
struct JobContext {
  std::uint64_t job_id = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string user;
  std::string node;                 ///< SLURMD_NODENAME
  std::uint32_t restart_count = 0;  ///< in an Epilog it may already be the next run's
};

/// Reads SLURM_JOB_ID, SLURM_JOB_UID, SLURM_JOB_GID (optional), SLURM_JOB_USER, SLURMD_NODENAME and
/// SLURM_JOB_RESTART_COUNT. An error (Blame::node) names the variable.
[[nodiscard]] Result<JobContext> read_job_context(const Lookup& lookup);

/// getenv(3) as a Lookup.
[[nodiscard]] Lookup environment_lookup();

/// A node name as Slurm allows it and as a folder name of ours: [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
[[nodiscard]] bool is_node_name(std::string_view text);

/// This boot of the node: /proc/sys/kernel/random/boot_id.
[[nodiscard]] std::string current_boot_id();

}  // namespace cloud
