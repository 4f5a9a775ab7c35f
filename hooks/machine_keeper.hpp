// SPDX-License-Identifier: Apache-2.0
//
// The keeper: one process per job and node. It starts the job's machine in the job's cgroup, tells
// the job's user how it is doing, and watches it. It is ended by the epilog; where no epilog comes
// after the job's extern step has gone, it becomes the epilog itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/backend/backend.hpp"
#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record_store.hpp"
#include "core/machine/console_relay.hpp"
#include "core/machine/publisher.hpp"
#include "core/system/unique_fd.hpp"
#include "hooks/keeper/door.hpp"
#include "hooks/keeper/network_watch.hpp"
#include "hooks/stage_log.hpp"

namespace cloud {

struct KeeperOrder {
  std::uint64_t job_id = 0;
  std::string node;
  std::int64_t stepd_pid = 0;   ///< the extern step's slurmstepd
  std::uint64_t memory_mb = 0;  ///< of the job on this node, 0 where Slurm gives none
};

class MachineKeeper {
 public:
  MachineKeeper(const SiteConfig& config, KeeperOrder order, std::function<bool()> cancelled);

  /// Takes the keeper's lock and a place in the job's cgroup. An error with Blame::cancelled means
  /// that there is nothing to keep.
  [[nodiscard]] Result<void> settle();
  /// Starts the machine and returns when it has ended, or the keeper has been asked to.
  void keep();
  /// Whether the job's extern step has gone and no epilog has come.
  [[nodiscard]] bool orphaned() const noexcept { return orphaned_; }
  /// The job's user.
  [[nodiscard]] std::uint32_t uid() const noexcept { return record_.uid; }
  /// The run of the job whose machine this is.
  [[nodiscard]] std::uint32_t restart_count() const noexcept { return record_.restart_count; }
  /// Leaves the job's cgroup and the machine's mounts, to clean up after both.
  [[nodiscard]] Result<void> leave_machine();

 private:
  [[nodiscard]] Result<void> bring_up();
  [[nodiscard]] Result<void> request_fits(const BackendConfig& config) const;
  [[nodiscard]] Result<void> start_machine(const MachineSpec& spec);
  [[nodiscard]] Result<void> guard_port(const MachineSpec& spec, const std::string& port);
  void watch_network(const MachineSpec& spec);
  [[nodiscard]] Result<void> prepare_entry(MachineSpec& spec);
  [[nodiscard]] Result<void> wait_for_ssh(const MachineSpec& spec);
  [[nodiscard]] Result<void> machine_is_alive();
  [[nodiscard]] std::string end_of_machine() const;
  void become_ready();
  void remove_failed_machine();
  [[nodiscard]] Result<void> require_unowned_machine(std::int64_t init_pid);
  void watch();
  void wait_for_something();
  void publish(MachinePhase phase);
  void report(const std::string& progress);
  void fail(const Error& error);

  const SiteConfig& config_;
  KeeperOrder order_;
  std::function<bool()> cancelled_;
  RecordStore store_;
  StageLog stages_;
  JobRecord record_;
  UniqueFd lock_;
  UniqueFd stepd_;
  UniqueFd host_mounts_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Publisher> publisher_;
  UniqueFd main_process_;
  std::optional<Door> door_;
  std::optional<ConsoleRelay> console_;
  std::optional<NetworkWatch> network_;
  std::chrono::steady_clock::time_point deadline_;
  bool orphaned_ = false;
};

}  // namespace cloud
