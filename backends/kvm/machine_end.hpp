// SPDX-License-Identifier: Apache-2.0
//
// How a virtual machine ends, whatever state it and libvirtd are in.
#pragma once

#include <cstdint>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/process.hpp>
#include <string>
#include <vector>

#include "backends/kvm/libvirt_daemon.hpp"
#include "backends/kvm/virtiofs_server.hpp"

namespace cloud::kvm {

/// Who knows of the machine.
struct MachineKnowers {
  const LibvirtDaemon& daemon;
  VirtiofsServers& servers;
  const std::string& log_dir;  ///< libvirtd's; "" keeps the machine's log
  const sdk::Host& host;
};

/// destroy(): domain, QEMU, network interface, control groups and log. Each part is tried,
/// whatever became of those before it, and all of them together end at the deadline. Throws the
/// first sdk::Failure: CLOUD_E_INTERNAL where libvirt has a domain of that name that is not ours.
void end_machine(const cloud_machine_ref& ref, const MachineKnowers& knowers,
                 sdk::Deadline deadline);

/// What is left of a machine's QEMU, known without libvirtd.
[[nodiscard]] std::vector<sdk::Process> leftovers(const std::string& work_dir,
                                                  const std::string& machine);

/// See NewDomain.
[[nodiscard]] std::string creation_mark(const std::string& work_dir);

/// The point that lies so many seconds before the deadline, but leaves half of what remains.
[[nodiscard]] sdk::Deadline seconds_before(sdk::Deadline deadline, std::int64_t seconds);

}  // namespace cloud::kvm
