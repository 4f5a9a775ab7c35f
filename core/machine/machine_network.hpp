// SPDX-License-Identifier: Apache-2.0
//
// Which other machines a machine may reach: those of its own job, which the pool's file names.
#pragma once

#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/network/port_guard.hpp"

namespace cloud {

/// The addresses of all pools that isolate, but those that machines of the job have now. On a pool
/// that nodes share, the job's other machines are known when their prologs have leased theirs.
[[nodiscard]] Result<std::vector<std::string>> addresses_apart(const std::vector<PoolConfig>& pools,
                                                               std::uint64_t job_id);

/// What the machine, whose address is of `pool`, may send over the port.
[[nodiscard]] Result<PortGuard> plan_port_guard(const SiteConfig& config, const PoolConfig& pool,
                                                const MachineSpec& spec, const std::string& port);

/// Notes in the machine's folder which interface its port is; for who has to do with it later.
[[nodiscard]] Result<void> note_port(const std::string& work_dir, const std::string& port);
/// The interface that was noted; "" where none was.
[[nodiscard]] std::string noted_port(const std::string& work_dir);
/// Whether it is there, in the network namespace that the caller is in.
[[nodiscard]] bool has_port(const std::string& work_dir);

}  // namespace cloud
