// SPDX-License-Identifier: Apache-2.0
#include "core/machine/machine_network.hpp"

#include <net/if.h>

#include "core/address/lease_file.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {

Result<std::vector<std::string>> addresses_apart(const std::vector<PoolConfig>& pools,
                                                 std::uint64_t job_id) {
  std::vector<std::string> apart;
  for (const auto& pool : pools) {
    if (!pool.isolate) continue;
    const auto table = LeaseFile{pool.file}.read();
    if (!table) return table.error();
    for (const auto& lease : table->leases()) {
      if (lease.job_id != job_id) apart.push_back(lease.address);
    }
  }
  return apart;
}

Result<PortGuard> plan_port_guard(const SiteConfig& config, const PoolConfig& pool,
                                  const MachineSpec& spec, const std::string& port) {
  std::vector<std::string> apart;
  if (pool.isolate) {
    auto others = addresses_apart(config.pools, spec.job_id);
    if (!others) return std::move(others).error();
    apart = *std::move(others);
  }
  return PortGuard{spec.name,         port,
                   spec.network->mac, spec.network->address,
                   spec.network->dns, pool.node_services,
                   std::move(apart)};
}

Result<void> note_port(const std::string& work_dir, const std::string& port) {
  return write_file(work_dir + "/port", port, {.mode = 0600, .owner = {}});
}

std::string noted_port(const std::string& work_dir) {
  const auto noted = read_file(work_dir + "/port", IFNAMSIZ);
  return noted ? *noted : std::string{};
}

bool has_port(const std::string& work_dir) {
  const auto port = noted_port(work_dir);
  return !port.empty() && ::if_nametoindex(port.c_str()) != 0;
}

}  // namespace cloud
