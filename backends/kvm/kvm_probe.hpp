// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud::kvm {

struct ProbeAnswer {
  bool runs = false;     ///< a guest got to its end
  bool lasting = false;  ///< the next guest would fare the same, until the node boots anew
  std::string reason;    ///< why it does not run, or ""
};

/// Runs a tiny guest of our own on KVM, in a child process: what a kernel does while it boots, with
/// the host's CPUID, within 1.5 s of a processor (and 10 s where it stands still). A KVM whose
/// device opens, and where even a BIOS comes up, may still not carry an operating system, or no
/// faster than a translator does.
[[nodiscard]] ProbeAnswer probe_kvm();

}  // namespace cloud::kvm
