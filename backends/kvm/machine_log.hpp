// SPDX-License-Identifier: Apache-2.0
//
// libvirt's log of a machine's QEMU, `<libvirt_log_dir>/<machine>.log`, and the older ones that
// virtlogd keeps beside it. What is in them is the guest's to choose, and one a job would be there
// for ever.
#pragma once

#include <string>
#include <vector>

namespace cloud::kvm {

void remove_logs(const std::string& folder, const std::string& machine);

/// The names of domains, as machines are called, that have a log there: libvirtd writes the last
/// line of one that it loses when it notices, which may be after its end. None where the folder
/// cannot be read.
[[nodiscard]] std::vector<std::string> names_with_logs(const std::string& folder);

}  // namespace cloud::kvm
