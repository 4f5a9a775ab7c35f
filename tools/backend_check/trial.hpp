// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "tools/backend_check/bench.hpp"
#include "tools/backend_check/process_tree.hpp"
#include "tools/backend_check/remains.hpp"
#include "tools/backend_check/worker.hpp"

namespace cloud {

/// One machine of a check: tried in processes of their own, and looked for afterwards.
class Trial {
 public:
  using Body = std::function<Result<std::string>(Subject&)>;

  /// A machine that nobody has heard of.
  [[nodiscard]] static Result<Trial> begin(Bench& bench);

  /// The specification, for a check to spoil.
  MachineSpec spec;

  [[nodiscard]] MachineRef ref() const { return ref_of(spec); }
  [[nodiscard]] Bench& bench() const { return *bench_; }
  [[nodiscard]] const MachineSpec& original() const { return original_; }

  /// Runs the body in a process that has opened the backend, in the keeper's place or a hook's.
  [[nodiscard]] Result<std::string> as_keeper(const Body& body) const;
  [[nodiscard]] Result<std::string> as_hook(const Body& body) const;
  [[nodiscard]] Result<Worker> start_worker(Role role, const Body& body) const;

  /// Calls for the body of a worker; each is an error unless the backend says CLOUD_OK.
  [[nodiscard]] Result<void> prepare(Subject& subject) const;
  [[nodiscard]] Answer start(Subject& subject, Deadline deadline) const;
  [[nodiscard]] Result<void> start(Subject& subject) const;
  [[nodiscard]] Result<void> bring_up(Subject& subject) const;  ///< prepare, start, wait_ready
  [[nodiscard]] Result<void> destroy(Subject& subject) const;

  /// Makes the keys that a machine with CLOUD_CAP_SSH starts with: its own, or those of any.
  [[nodiscard]] Result<void> give_keys(bool own);
  [[nodiscard]] std::string ssh_dir() const;

  /// What belongs to the machine, asked in a worker: what the backend left running below the check,
  /// what is in the machine's group or carries its name, and what `info` names, with all below.
  [[nodiscard]] std::vector<ProcessEntry> processes(const cloud_machine_info& info) const;

  /// That a fresh process destroys the machine and nothing of it is left.
  [[nodiscard]] Result<void> destroy_and_look();
  /// That nothing of the destroyed machine is left, and list() no longer names it. Removes its
  /// folder and cgroup.
  [[nodiscard]] Result<void> look();

 private:
  Trial(Bench& bench, MachineSpec made);

  Bench* bench_;
  MachineSpec original_;
  std::shared_ptr<Remains> remains_;
};

/// So far ahead that only a backend that hangs reaches it.
[[nodiscard]] Deadline far_deadline(const Bench& bench);
[[nodiscard]] Deadline in(std::chrono::milliseconds time);

}  // namespace cloud
