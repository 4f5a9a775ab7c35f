// SPDX-License-Identifier: Apache-2.0
//
// The machine's first process, found through the machine's own control groups. liblxc would ask
// its monitor over an abstract socket, whose name anybody on the node can take once the monitor has
// gone, or before it is there: what it answers is no ground for root to signal a process.
#pragma once

#include <sys/types.h>

#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud::lxc {

using sdk::Descriptor;

struct InitProcess {
  pid_t pid = 0;     ///< as the host sees it; 0 where the machine does not run
  Descriptor pidfd;  ///< of that very process
};

/// The child of the monitor in `<cgroup>/monitor`. `cgroup` is "" for a machine that never started.
[[nodiscard]] InitProcess find_init(const std::string& cgroup);

/// Sends a signal and waits for the end; whether it came before the deadline. Throws
/// CLOUD_E_CANCELLED.
[[nodiscard]] bool end_process(const InitProcess& init, int signal_number, sdk::Deadline deadline,
                               const sdk::Host& host);

}  // namespace cloud::lxc
