// SPDX-License-Identifier: Apache-2.0
#include "core/stage/actions.hpp"

#include "core/address/lease_file.hpp"
#include "core/backend/backend.hpp"
#include "core/machine/delegated_ids.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/subid_ranges.hpp"
#include "core/stage/machine_end.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kHostLockWait = 10s;

// Root inside a machine is nobody outside, so root on the node cannot be its user.
Result<void> require_ordinary_user(const SiteConfig& config, const JobRecord& record) {
  if (record.uid == 0) {
    return Error{Blame::user, "a machine belongs to an ordinary user: root's jobs get none"};
  }
  if (record.gid == 0) {
    return Error{Blame::user, "a machine's user needs a primary group other than root's"};
  }
  for (const auto id : {record.uid, record.gid}) {
    if (!is_subid(config, id)) continue;
    return Error{Blame::site, "the account of user " + record.user + " has id " +
                                  std::to_string(id) +
                                  ", which is among those that machines get: choose other "
                                  "cloud.subid_first and subid_count, where no account is"};
  }
  return {};
}

// Who could write it would choose machines' addresses, and where root writes.
Result<void> require_lease_file(const std::string& file) {
  auto trusted = require_trusted(file);
  if (!trusted) return std::move(trusted).error().within("lease file");
  return {};
}

}  // namespace

Result<void> lease_address(Session& session) {
  const auto* backend = session.config.backend(session.record.request->type);
  if (backend == nullptr || backend->pool.empty()) return {};
  const auto* pool = session.config.pool(backend->pool);
  std::vector<std::string> held;
  for (const auto& other : session.store.records()) {
    const bool is_ours = other.job_id == session.record.job_id;
    if (!is_ours && other.lease && other.lease->pool == pool->name)
      held.push_back(other.lease->address);
  }
  if (auto trusted = require_lease_file(pool->file); !trusted) return trusted;
  LeaseFile file{pool->file};
  const auto intend = [&](const std::string& chosen) {
    session.record.lease = LeaseRecord{pool->name, chosen, pool->file};
    return session.save();
  };
  auto address = file.lease(session.record.job_id, "", held, intend,
                            session.budget.share(LeaseFile::kLeaseWait));
  if (!address)
    return std::move(address).error().within("lease an address of pool '" + pool->name + "'");
  return {};
}

Result<void> release_address(Session& session) {
  if (!session.record.lease) return {};
  const auto& lease = *session.record.lease;
  // Released only when the machine can use it no longer: another job could lease the address while
  // this machine still answers on it.
  if (session.record.machine && !session.record.machine->disconnected) {
    return Error{Blame::node, "the address " + lease.address +
                                  " stays leased: its machine could not be removed"};
  }
  if (auto trusted = require_lease_file(lease.file); !trusted) return trusted;
  LeaseFile file{lease.file};
  if (auto released = file.release(session.record.job_id, lease.address,
                                   session.budget.share(LeaseFile::kReleaseWait));
      !released) {
    return std::move(released).error().within("release " + lease.address);
  }
  session.record.lease.reset();
  return session.save();
}

Result<void> create_machine(Session& session) {
  auto& record = session.record;
  if (auto good = require_ordinary_user(session.config, record); !good) return good;
  if (auto ours = require_undelegated_subids(session.config); !ours) return ours;
  const auto name = machine_name(record.node, record.job_id);
  {
    // Held until it is in a record, where the next one to look sees it.
    const auto host_lock = session.store.lock_host(session.budget.share(kHostLockWait));
    if (!host_lock) return host_lock.error();
    const auto subid_first =
        subid_range_of(session.config, record.uid, session.store.records_of_host());
    if (!subid_first) return subid_first.error();
    record.machine =
        MachineRecord{record.request->type, name, session.store.machines_dir() + "/" + name,
                      *subid_first,         "",   false};
    if (auto saved = session.save(); !saved) return saved;
  }
  if (auto made = make_directories(record.machine->work_dir, 0711); !made) return made;
  auto spec = plan_machine(session.config, record);
  if (!spec) return std::move(spec).error();
  const auto* config = session.config.backend(record.request->type);
  auto backend =
      open_backend(session.config.backend_dir, *config, logging_host(session.input.cancelled));
  if (!backend) return std::move(backend).error();
  return (*backend)->prepare(*spec);
}

Result<void> destroy_machine(Session& session) {
  return end_machine(session);
}

}  // namespace cloud
