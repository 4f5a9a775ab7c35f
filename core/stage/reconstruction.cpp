// SPDX-License-Identifier: Apache-2.0
#include "core/stage/reconstruction.hpp"

#include "core/address/lease_file.hpp"
#include "core/job/cgroup_path.hpp"
#include "core/log.hpp"
#include "core/machine/machine_plan.hpp"

namespace cloud {
namespace {

void complain_of_shared(const PoolConfig& pool) {
  log_line(LogLevel::error, "pool '" + pool.name +
                                "' is shared with other nodes: what the job "
                                "may have leased of it has to be freed by hand");
}

std::optional<LeaseRecord> find_lease(const SiteConfig& config, std::uint64_t job_id) {
  for (const auto& pool : config.pools) {
    if (pool.shared) {
      complain_of_shared(pool);
      continue;
    }
    const auto table = LeaseFile{pool.file}.read();
    if (!table) {
      log_line(LogLevel::error, table.error().message);
      continue;
    }
    for (const auto& lease : table->leases()) {
      if (lease.job_id == job_id) return LeaseRecord{pool.name, lease.address, pool.file};
    }
  }
  return std::nullopt;
}

}  // namespace

void free_leases(const SiteConfig& config, std::uint64_t job_id) {
  for (const auto& pool : config.pools) {
    if (pool.shared) {
      complain_of_shared(pool);
      continue;
    }
    LeaseFile file{pool.file};
    if (auto released = file.release_all(job_id); !released) {
      log_line(LogLevel::error, released.error().message);
    }
  }
}

JobRecord reconstruct_record(const Session& session) {
  JobRecord record;
  record.job_id = session.input.job.job_id;
  record.node = session.input.job.node;
  record.uid = session.input.job.uid;
  const auto name = machine_name(record.node, record.job_id);
  record.machine = MachineRecord{"",
                                 name,
                                 session.store.machines_dir() + "/" + name,
                                 0,
                                 find_machine_cgroup(record.node, std::nullopt, record.job_id),
                                 false};
  record.lease = find_lease(session.config, record.job_id);
  return record;
}

}  // namespace cloud
