// SPDX-License-Identifier: Apache-2.0
//
// On a pool that nodes share, a job's machines on other nodes get their addresses while this one
// starts, and a machine reaches those of its own job alone. The file lies on a shared file system,
// where nobody is told of a change: its version is looked at, less and less often.
#pragma once

#include <chrono>
#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"

namespace cloud {

class PeerWatch {
 public:
  PeerWatch(PoolConfig pool, std::uint64_t job_id, std::string machine);

  /// Where it is time to look and the file has changed, sets anew whom the machine must not reach.
  [[nodiscard]] Result<void> look();

 private:
  [[nodiscard]] std::string version() const;

  PoolConfig pool_;
  std::uint64_t job_id_;
  std::string machine_;
  std::string seen_;  ///< the version that the rules are of
  std::chrono::steady_clock::time_point next_;
  std::chrono::milliseconds pause_;
};

}  // namespace cloud
