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

/// The addresses of the pool that no machine of the job's has now; none where the pool does not
/// isolate. On a pool that nodes share, the job's other machines are known when their prologs have
/// leased their addresses.
[[nodiscard]] Result<std::vector<std::string>> addresses_apart(const PoolConfig& pool,
                                                               std::uint64_t job_id);

/// What the machine of the record may send over the port; the pool of its lease filters.
[[nodiscard]] Result<PortGuard> plan_port_guard(const PoolConfig& pool, const MachineSpec& spec,
                                                const std::string& port);

}  // namespace cloud
