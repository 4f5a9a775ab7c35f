// SPDX-License-Identifier: Apache-2.0
#include "core/stage/stray_machines.hpp"

#include <algorithm>
#include <charconv>

#include "core/backend/backend.hpp"
#include "core/job/cgroup_path.hpp"
#include "core/job/record_store.hpp"
#include "core/log.hpp"
#include "core/machine/machine_network.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/network/port_guard.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/reconstruction.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kLockWait = 1s;

bool knows(Backend& backend, const std::string& machine) {
  const auto machines = backend.list();
  return machines && std::find(machines->begin(), machines->end(), machine) != machines->end();
}

// Whoever has a record looks after the machine. Read under the lock: a prolog that is about to
// choose that name has it, or waits for us until the machine is gone. Who had the lock before us
// may have ended the machine.
Result<std::optional<LockedJob>> adopt(const RecordStore& store, const std::string& node,
                                       Backend& backend, std::uint64_t job_id) {
  auto locked = store.lock_or_create(job_id, kLockWait);
  if (!locked) return std::move(locked).error();
  const auto existing = locked->load();
  if (!existing || *existing) return std::optional<LockedJob>{};
  const auto name = machine_name(node, job_id);
  if (!knows(backend, name)) {
    if (auto forgotten = locked->forget(); !forgotten) return std::move(forgotten).error();
    return std::optional<LockedJob>{};
  }
  JobRecord record;
  record.job_id = job_id;
  record.node = node;
  record.phase = RecordPhase::ending;
  record.machine = MachineRecord{backend.name(),
                                 name,
                                 store.machines_dir() + "/" + name,
                                 0,
                                 find_machine_cgroup(node, std::nullopt, job_id),
                                 false};
  if (auto saved = locked->save(record); !saved) return std::move(saved).error();
  return std::optional<LockedJob>{*std::move(locked)};
}

bool end_one(const LoadedConfig& loaded, const std::string& node, Backend& backend,
             std::uint64_t job_id) {
  const RecordStore store{loaded.config.state_dir, node};
  auto adopted = adopt(store, node, backend, job_id);
  log_as("reconcile", job_id);
  if (!adopted) {
    log_line(LogLevel::error, adopted.error().message);
    return false;
  }
  if (!*adopted) return true;
  log_line(LogLevel::warn, "the machine " + machine_name(node, job_id) + " of backend '" +
                               backend.name() +
                               "' belongs to no job that has a record here: ending it");
  HookInput input;
  input.job.job_id = job_id;
  input.job.node = node;
  input.lookup = [](std::string_view) { return std::nullopt; };
  input.cancelled = [] { return false; };
  const int status = run_epilog(without_site_programs(loaded), input, **std::move(adopted));
  if (status != 0 || store.knows(job_id)) return false;
  free_leases(loaded.config, job_id);
  return true;
}

}  // namespace

std::optional<std::uint64_t> job_of_machine(std::string_view machine, std::string_view node) {
  const auto digits = machine.substr(machine.rfind('-') + 1);
  std::uint64_t job_id = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), job_id);
  const bool is_number = failure == std::errc{} && end == digits.data() + digits.size();
  if (!is_number || job_id == 0 || machine != machine_name(node, job_id)) return std::nullopt;
  return job_id;
}

namespace {

// Of a machine that nobody knows any more, and whose port has gone: a machine that runs is held
// back whatever became of its record.
bool remove_stray_rules(const RecordStore& store, const std::string& node) {
  const auto guarded = guarded_machines();
  if (!guarded) {
    log_line(LogLevel::error, "rules of machines without a record: " + guarded.error().message);
    return false;
  }
  bool all_removed = true;
  for (const auto& machine : *guarded) {
    const auto job_id = job_of_machine(machine, node);
    if (!job_id) continue;
    auto locked = store.lock_or_create(*job_id, kLockWait);
    if (!locked) continue;  // somebody is at it
    const auto record = locked->load();
    if (!record || *record) continue;
    if (has_port(store.machines_dir() + "/" + machine)) {
      (void)locked->forget();
      continue;
    }
    log_line(LogLevel::warn, "removing the rules of machine " + machine + ", which is gone");
    const auto removed = remove_port_guard(machine);
    if (!removed) log_line(LogLevel::error, removed.error().message);
    (void)locked->forget();
    all_removed = all_removed && removed;
  }
  return all_removed;
}

}  // namespace

bool end_stray_machines(const LoadedConfig& loaded, const std::string& node) {
  bool all_ended = true;
  bool all_heard = true;
  for (const auto& config : loaded.config.backends) {
    if (!config.enabled) continue;
    BackendHost host{[](int level, const std::string& message) {
                       log_line(level == 0 ? LogLevel::error : LogLevel::info, message);
                     },
                     {}};
    auto backend = open_backend(loaded.config.backend_dir, config, std::move(host));
    const auto machines =
        backend ? (*backend)->list() : Result<std::vector<std::string>>{backend.error()};
    if (!machines) {
      log_line(LogLevel::error, "machines without a record: " + machines.error().message);
      all_ended = false;
      all_heard = false;
      continue;
    }
    for (const auto& machine : *machines) {
      const auto job_id = job_of_machine(machine, node);
      if (job_id) all_ended = end_one(loaded, node, **backend, *job_id) && all_ended;
    }
  }
  // Who has not been heard may have machines that run.
  if (!all_heard) return false;
  const RecordStore store{loaded.config.state_dir, node};
  return remove_stray_rules(store, node) && all_ended;
}

}  // namespace cloud
