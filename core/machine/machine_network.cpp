// SPDX-License-Identifier: Apache-2.0
#include "core/machine/machine_network.hpp"

#include "core/address/lease_file.hpp"

namespace cloud {

Result<std::vector<std::string>> addresses_apart(const PoolConfig& pool, std::uint64_t job_id) {
  std::vector<std::string> apart;
  if (!pool.isolate) return apart;
  const auto table = LeaseFile{pool.file}.read();
  if (!table) return table.error();
  for (const auto& lease : table->leases()) {
    if (lease.job_id != job_id) apart.push_back(lease.address);
  }
  return apart;
}

Result<PortGuard> plan_port_guard(const PoolConfig& pool, const MachineSpec& spec,
                                  const std::string& port) {
  auto apart = addresses_apart(pool, spec.job_id);
  if (!apart) return std::move(apart).error();
  return PortGuard{spec.name,         port,
                   spec.network->mac, spec.network->address,
                   spec.network->dns, pool.node_services,
                   *std::move(apart)};
}

}  // namespace cloud
