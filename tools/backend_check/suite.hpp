// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tools/backend_check/bench.hpp"
#include "tools/backend_check/check.hpp"

namespace cloud {

/// From here on SIGINT, SIGTERM, SIGHUP and SIGPIPE end a run in order. To be called before
/// anything is made that a run would leave.
void end_runs_by_signals();

/// Runs checks one after the other, each in a process of its own with a limit, and says on stdout
/// how they went (TAP, version 13).
class Suite {
 public:
  Suite(Bench bench, std::vector<Check> checks, std::chrono::seconds limit);
  ~Suite();
  Suite(const Suite&) = delete;
  Suite& operator=(const Suite&) = delete;

  /// Ends what killed runs have left, and takes an address. An Error says why nothing can be
  /// checked.
  [[nodiscard]] Result<void> begin();

  /// 0 where all passed, 1 where one failed, 128 and its number where a signal ended the run. The
  /// node is as it was then.
  [[nodiscard]] int run();

 private:
  [[nodiscard]] Verdict run_one(const Check& check);
  void end_orphans();
  void clean_up();
  /// Through their backend, and by force; the first that destroy() failed for, or "".
  std::string remove_machines(const Site& site);
  std::string destroy(const MachineRef& ref);
  void tear_down();

  Bench bench_;
  std::vector<Check> checks_;
  std::chrono::seconds limit_;
};

}  // namespace cloud
