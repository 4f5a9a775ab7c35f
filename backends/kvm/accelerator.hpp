// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud::kvm {

struct Accelerator {
  bool hardware = false;  ///< KVM
  std::string reason;     ///< why not, or ""
};

/// Whether /dev/kvm can run a guest, and not only be opened: found out once for each boot of the
/// node, and remembered in `note`, a file of root's alone.
[[nodiscard]] Accelerator find_accelerator(const std::string& note);

}  // namespace cloud::kvm
