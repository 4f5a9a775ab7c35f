// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud::kvm {

/// Removes the empty control groups that libvirtd made for a machine in its own `machine` folder,
/// whose processes we had moved: a libvirtd that was killed leaves them.
void remove_libvirt_cgroups(const std::string& machine);

}  // namespace cloud::kvm
