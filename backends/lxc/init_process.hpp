// SPDX-License-Identifier: Apache-2.0
//
// The machine's first process, found through the machine's own control groups. liblxc would ask
// its monitor over an abstract socket, whose name anybody on the node can take once the monitor has
// gone, or before it is there: what it answers is no ground for root to signal a process.
#pragma once

#include <cstdint>
#include <spank-cloud/process.hpp>
#include <string>
#include <vector>

namespace cloud::lxc {

/// The child of the monitor in `<cgroup>/monitor`. `cgroup` is "" for a machine that never started.
[[nodiscard]] sdk::Process find_init(const std::string& cgroup);

/// Ends a machine's init by force and then its monitor, which is alone where a start was cut off
/// before there was an init: it would make one later. That monitor is in `<cgroup>` itself until it
/// enters its own group. Throws CLOUD_E_NODE where the init does not die, CLOUD_E_TIMEOUT where the
/// monitor does not, and CLOUD_E_CANCELLED.
/// Takes a few seconds at most.
void end_machine(const std::string& name, const std::string& cgroup, const sdk::Host& host,
                 sdk::Deadline most = sdk::Deadline{INT64_MAX});

/// Runs a program of the machine's as its root, in all its namespaces, and waits; its exit status,
/// 255 where it has none. The calling process is of the machine's from here on: call it in a
/// process that ends afterwards.
[[nodiscard]] int run_in_machine(const sdk::Process& init, std::vector<std::string> argv);

}  // namespace cloud::lxc
