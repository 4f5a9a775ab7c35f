// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// What a run of the check holds outside of its folder: kept in it, for the run that finds it after
/// this one was killed.
struct RunHoldings {
  std::string backend;
  std::string lease_file;  ///< "" where no address is leased
  std::string address;
  std::uint64_t lease_id = 0;
};

/// The file `mark` in the folder of a run, locked for as long as the run's process lives. The lock
/// is that process's alone: nothing that a backend leaves running inherits it.
class RunMark {
 public:
  RunMark() = default;

  /// Makes and locks it. Blame::node where it is locked already: that run is alive.
  [[nodiscard]] static Result<RunMark> take(const std::string& folder);
  [[nodiscard]] static Result<RunHoldings> read(const std::string& folder);

  [[nodiscard]] Result<void> write(const RunHoldings& holdings) const;

 private:
  UniqueFd file_;
};

}  // namespace cloud
