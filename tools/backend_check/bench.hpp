// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tools/backend_check/site.hpp"
#include "tools/backend_check/subject.hpp"

namespace cloud {

/// What every check has at hand.
struct Bench {
  Target target;
  std::unique_ptr<Site> site;  ///< nullptr where nothing is tried live
  std::uint64_t capabilities = 0;
  std::chrono::seconds boot_limit{60};
  int cycles = 10;
  int slowness =
      1;  ///< of this node, next to an idle one: each limit on a call's time is multiplied by it
  std::optional<MachineKeys> keys;  ///< for machines that nobody enters

  [[nodiscard]] bool has(std::uint64_t capability) const {
    return (capabilities & capability) != 0;
  }
};

}  // namespace cloud
