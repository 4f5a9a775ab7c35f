// SPDX-License-Identifier: Apache-2.0
//
// The QEMU of a machine, known without asking libvirtd: from the file that start() leaves in the
// machine's folder, from libvirt's own, or by the name that libvirt gives it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/process.hpp>
#include <string>
#include <vector>

namespace cloud::kvm {

/// The process that libvirt names in `<run_dir>/<machine>.pid`. Throws CLOUD_E_NODE where it is
/// none.
[[nodiscard]] sdk::Process process_of_libvirt(const std::string& run_dir,
                                              const std::string& machine);

/// Remembers it, with the time of its start, as `<work_dir>/qemu`.
void remember_process(const std::string& work_dir, pid_t pid);
[[nodiscard]] sdk::Process remembered_process(const std::string& work_dir);

/// Every process whose command line says that it is the QEMU of that machine, whoever's it is.
[[nodiscard]] std::vector<sdk::Process> processes_by_name(const std::string& machine);

void kill_process(const sdk::Process& process) noexcept;

}  // namespace cloud::kvm
