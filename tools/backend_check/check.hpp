// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tools/backend_check/bench.hpp"
#include "tools/backend_check/verdict.hpp"

namespace cloud {

/// One promise of a backend, and how to see whether it keeps it.
struct Check {
  const char* name;     ///< for --only
  const char* promise;  ///< what is true of a backend that passes
  Verdict (*run)(Bench& bench);
};

/// Of the file alone; nothing of it but its entry point is called.
[[nodiscard]] std::vector<Check> static_checks();

/// With machines. `life_checks` first: the others rely on what they see.
[[nodiscard]] std::vector<Check> life_checks();
[[nodiscard]] std::vector<Check> process_checks();
[[nodiscard]] std::vector<Check> reach_checks();
[[nodiscard]] std::vector<Check> network_checks();
[[nodiscard]] std::vector<Check> entry_checks();
[[nodiscard]] std::vector<Check> time_checks();
[[nodiscard]] std::vector<Check> kill_checks();
[[nodiscard]] std::vector<Check> text_checks();

}  // namespace cloud
