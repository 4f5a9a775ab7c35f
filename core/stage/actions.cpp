// SPDX-License-Identifier: Apache-2.0
#include "core/stage/actions.hpp"

#include "core/address/lease_file.hpp"
#include "core/backend/backend.hpp"
#include "core/job/cgroup.hpp"
#include "core/log.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/subid_ranges.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kNodeLockWait = 10s;
constexpr auto kKeeperGrace = 3s;
constexpr auto kKillLimit = 5s;
constexpr auto kDestroyLimit = 30s;

BackendHost backend_host(const Session& session) {
  return {[](int level, const std::string& message) {
            log_line(level == 0   ? LogLevel::error
                     : level == 1 ? LogLevel::warn
                                  : LogLevel::info,
                     message);
          },
          session.input.cancelled};
}

// A backend that was disabled since, or has left the configuration, still has to clean up.
BackendConfig backend_for_cleanup(const SiteConfig& config, const std::string& name) {
  for (const auto& backend : config.backends) {
    if (backend.name == name) return backend;
  }
  BackendConfig unknown;
  unknown.name = name;
  return unknown;
}

// Root inside a machine is nobody outside, so root on the node cannot be its user.
Result<void> require_ordinary_user(const JobRecord& record) {
  if (record.uid == 0) {
    return Error{Blame::user, "a machine belongs to an ordinary user: root's jobs get none"};
  }
  if (record.gid == 0) {
    return Error{Blame::user, "a machine's user needs a primary group other than root's"};
  }
  return {};
}

// What the backend can do; what it cannot is left to the cgroup and to remove_tree.
Result<void> end_through_backend(const Session& session, const MachineRef& ref) {
  const auto config = backend_for_cleanup(session.config, session.record.machine->backend);
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
    session.record.lease = LeaseRecord{pool->name, chosen};
    return session.save();
  });
  if (!address)
    return std::move(address).error().within("lease an address of pool '" + pool->name + "'");
  return {};
}

Result<void> release_address(Session& session) {
  if (!session.record.lease) return {};
  const auto& lease = *session.record.lease;
  const auto* pool = session.config.pool(lease.pool);
  if (pool == nullptr) {
    return Error{Blame::site, "release " + lease.address + ": the pool '" + lease.pool +
                                  "' is no longer in the configuration; free its line by hand"};
  }
  LeaseFile file{pool->file};
  if (auto released = file.release(session.record.job_id, lease.address); !released) {
    return std::move(released).error().within("release " + lease.address);
  }
  session.record.lease.reset();
  return session.save();
}

Result<void> create_machine(Session& session) {
  auto& record = session.record;
  if (auto good = require_ordinary_user(record); !good) return good;
  const auto name = machine_name(record.node, record.job_id);
  {
    // Held until the choice is in a record, where the next one to choose sees it.
    const auto node_lock = session.store.lock_node(kNodeLockWait);
    if (!node_lock) return node_lock.error();
    const auto subid_first = take_subid_range(session.config, session.store.subid_file(),
                                              record.uid, session.store.records());
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
  if (auto ended = end_keeper(session.locked.path(), kKeeperGrace); !ended) {
    log_line(LogLevel::error, ended.error().message);
  }
  auto destroyed = end_through_backend(session, ref);
  if (!destroyed) {
    log_line(LogLevel::error, "destroy machine '" + ref.name + "': " + destroyed.error().message +
                                  "; going on without the backend");
  }
  if (!ref.cgroup.empty()) {
    if (auto killed = kill_cgroup(ref.cgroup, kKillLimit); !killed) return killed;
    for (const auto& stayed : remove_job_cgroups(ref.cgroup)) {
      log_line(LogLevel::warn, "the cgroup " + stayed + " could not be removed");
    }
  }
  if (auto removed = remove_tree(ref.work_dir); !removed) return removed;
  session.record.machine.reset();
  return session.save();
}

}  // namespace cloud
