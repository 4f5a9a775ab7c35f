// SPDX-License-Identifier: Apache-2.0
#include "core/stage/actions.hpp"

#include "core/address/lease_file.hpp"
#include "core/backend/backend.hpp"
#include "core/job/cgroup.hpp"
#include "core/job/cgroup_processes.hpp"
#include "core/log.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/subid_ranges.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/trash.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kHostLockWait = 10s;
constexpr auto kKeeperGrace = 3s;
constexpr auto kKillLimit = 5s;
constexpr auto kDestroyLimit = 30s;
constexpr auto kRemoveLimit = 5s;

BackendHost backend_host(const Session& session) {
  return {[](int level, const std::string& message) {
            log_line(level == 0   ? LogLevel::error
                     : level == 1 ? LogLevel::warn
                                  : LogLevel::info,
                     message);
          },
          session.input.cancelled};
}

// One that was disabled since, or has left the configuration, still has to clean up.
std::vector<BackendConfig> backends_for_cleanup(const SiteConfig& config, const std::string& name) {
  std::vector<BackendConfig> found;
  for (const auto& backend : config.backends) {
    if (name.empty() ? backend.enabled : backend.name == name) found.push_back(backend);
  }
  if (found.empty() && !name.empty()) {
    BackendConfig unknown;
    unknown.name = name;
    found.push_back(std::move(unknown));
  }
  return found;
}

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

// What the backend can do; what it cannot is left to the cgroup and to remove_tree.
Result<void> end_through_backend(const Session& session, const BackendConfig& config,
                                 const MachineRef& ref) {
  // Never cancelled: a clean-up is what a cancellation leads to.
  auto host = backend_host(session);
  host.cancelled = {};
  auto backend = open_backend(session.config.backend_dir, config, std::move(host));
  if (!backend) return std::move(backend).error();
  const auto now = std::chrono::steady_clock::now();
  if (!ref.cgroup.empty()) {
    if (auto stopped = (*backend)->stop(ref, now + session.config.stop_timeout); !stopped) {
      log_line(LogLevel::warn, "stop machine '" + ref.name + "': " + stopped.error().message);
    }
    // Before destroy(): what holds the machine's files open or its mounts busy is gone then.
    if (auto killed = kill_cgroup(ref.cgroup, kKillLimit); !killed) return killed;
  }
  return (*backend)->destroy(ref, std::chrono::steady_clock::now() + kDestroyLimit);
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
  LeaseFile file{pool->file};
  auto address = file.lease(session.record.job_id, "", held, [&](const std::string& chosen) {
    session.record.lease = LeaseRecord{pool->name, chosen, pool->file};
    return session.save();
  });
  if (!address)
    return std::move(address).error().within("lease an address of pool '" + pool->name + "'");
  return {};
}

Result<void> release_address(Session& session) {
  if (!session.record.lease) return {};
  const auto& lease = *session.record.lease;
  if (session.record.machine) {
    // Else two machines would have it.
    return Error{Blame::node, "the address " + lease.address +
                                  " stays leased: its machine could not be removed"};
  }
  LeaseFile file{lease.file};
  if (auto released = file.release(session.record.job_id, lease.address); !released) {
    return std::move(released).error().within("release " + lease.address);
  }
  session.record.lease.reset();
  return session.save();
}

Result<void> create_machine(Session& session) {
  auto& record = session.record;
  if (auto good = require_ordinary_user(session.config, record); !good) return good;
  const auto name = machine_name(record.node, record.job_id);
  {
    // Held until the choice is in a record, where the next one to choose sees it.
    const auto host_lock = session.store.lock_host(kHostLockWait);
    if (!host_lock) return host_lock.error();
    const auto subid_first = take_subid_range(session.config, session.store.subid_file(),
                                              record.uid, session.store.records_of_host());
    if (!subid_first) return subid_first.error();
    record.machine = MachineRecord{record.request->type, name,
                                   session.store.machines_dir() + "/" + name, *subid_first, ""};
    if (auto saved = session.save(); !saved) return saved;
  }
  if (auto made = make_directories(record.machine->work_dir, 0711); !made) return made;
  auto spec = plan_machine(session.config, record);
  if (!spec) return std::move(spec).error();
  const auto* config = session.config.backend(record.request->type);
  auto backend = open_backend(session.config.backend_dir, *config, backend_host(session));
  if (!backend) return std::move(backend).error();
  return (*backend)->prepare(*spec);
}

Result<void> destroy_machine(Session& session) {
  if (!session.record.machine) return {};
  const auto ref = machine_ref(*session.record.machine);
  if (auto ended = end_keeper(session.locked.path(), ref.cgroup, kKeeperGrace); !ended) {
    log_line(LogLevel::error, ended.error().message);
  }
  const auto& backend = session.record.machine->backend;
  for (const auto& config : backends_for_cleanup(session.config, backend)) {
    const auto destroyed = end_through_backend(session, config, ref);
    if (destroyed) continue;
    log_line(LogLevel::error, "destroy machine '" + ref.name + "': " + destroyed.error().message +
                                  "; going on without the backend");
  }
  if (!ref.cgroup.empty()) {
    if (auto killed = kill_cgroup(ref.cgroup, kKillLimit); !killed) return killed;
    for (const auto& stayed : remove_job_cgroups(ref.cgroup)) {
      log_line(LogLevel::warn, "the cgroup " + stayed + " could not be removed");
    }
  }
  if (auto removed = remove_or_discard(ref.work_dir, session.store.trash_dir(), kRemoveLimit);
      !removed) {
    return removed;
  }
  session.record.machine.reset();
  return session.save();
}

}  // namespace cloud
