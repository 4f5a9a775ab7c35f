// SPDX-License-Identifier: Apache-2.0
//
// The QEMU of a machine. What nobody but root could have arranged tells which process it is: who
// has the other end of a socket that libvirtd made in the machine's folder, and an id that no
// account has. Not a file that libvirtd leaves open in it, and not its command line alone, which
// every process may have.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/process.hpp>
#include <string>
#include <vector>

namespace cloud::kvm {

/// The process that listens at the other end of the machine's console: libvirtd makes the socket
/// and hands it to the QEMU that it starts. Throws CLOUD_E_NODE where that process does not run as
/// `uid`.
[[nodiscard]] sdk::Process process_behind(const sdk::Descriptor& console, uid_t uid);

/// Remembers it, with the time of its start, as `<work_dir>/qemu`.
void remember_process(const std::string& work_dir, const sdk::Process& process);
[[nodiscard]] sdk::Process remembered_process(const std::string& work_dir);

/// Every process that runs as `uid` and whose command line says that it is the QEMU of that
/// machine: another machine of the same user has the id, too. All ids of it must be that one.
[[nodiscard]] std::vector<sdk::Process> processes_of(uid_t uid, const std::string& machine);

/// Kills all of them first, and only then waits for their end. The first that has not ended at the
/// deadline, or 0.
[[nodiscard]] pid_t end_processes(const std::vector<sdk::Process>& processes,
                                  sdk::Deadline deadline);

}  // namespace cloud::kvm
