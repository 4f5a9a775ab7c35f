// SPDX-License-Identifier: Apache-2.0
//
// What holds a machine back at its port stays in force as long as it runs, and stays true.
//
// - Somebody else may remove the rules: `nft flush ruleset` of a site's own firewall does. The
// kernel
//   tells of every change.
// - A job's machines on other nodes get their addresses while this one starts, and later machines
// of
//   others get theirs; a machine reaches those of its own job alone. The pools' files may lie on a
//   shared file system, where nobody is told of a change: they are looked at, less and less often,
//   and by a process of its own, as that may take for ever.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

class NetworkWatch {
 public:
  /// Of a machine with a network of a pool that filters.
  NetworkWatch(const SiteConfig& config, PoolConfig pool, MachineSpec spec);
  ~NetworkWatch();
  NetworkWatch(const NetworkWatch&) = delete;
  NetworkWatch& operator=(const NetworkWatch&) = delete;

  /// Readable when rules of the node have changed.
  [[nodiscard]] int events() const noexcept { return events_.value(); }
  void hear();
  /// To be called now and then.
  void look();
  /// From here on somebody may want to reach the job's other machines.
  void hurry();

 private:
  void begin();
  [[noreturn]] void refresh(int told) const;
  void reap();
  [[nodiscard]] std::string version() const;

  const SiteConfig& config_;
  PoolConfig pool_;
  MachineSpec spec_;
  UniqueFd events_;
  std::string seen_;  ///< the versions of the files that the rules are of
  std::chrono::steady_clock::time_point next_;
  std::chrono::milliseconds pause_;
  pid_t worker_ = -1;
  UniqueFd told_;
};

}  // namespace cloud
