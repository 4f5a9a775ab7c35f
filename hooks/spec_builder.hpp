// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// Completes the specification of a job's machine where the job's cgroup exists: sizes, the user,
/// what is mounted (opened with the user's rights), the user's cloud-init data. The specification
/// borrows what the builder has opened.
class SpecBuilder {
 public:
  /// memory_mb: the job's memory on this node as Slurm says it, where its cgroup has no limit.
  SpecBuilder(const SiteConfig& config, const JobRecord& record, std::uint64_t memory_mb)
      : config_{config}, record_{record}, memory_mb_{memory_mb} {}

  [[nodiscard]] Result<MachineSpec> build();

 private:
  [[nodiscard]] Result<void> add_mounts(MachineSpec& spec);
  [[nodiscard]] Result<void> may_be_mounted(int source, const std::string& path);
  [[nodiscard]] Result<std::string> read_user_data(const MachineUser& user) const;

  const SiteConfig& config_;
  const JobRecord& record_;
  std::uint64_t memory_mb_;
  std::vector<UniqueFd> sources_;
  std::size_t mount_count_ = 0;  ///< of the copies of all sources
};

}  // namespace cloud
