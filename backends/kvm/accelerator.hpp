// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace cloud::kvm {

struct Accelerator {
  bool hardware = false;  ///< KVM
  std::string reason;     ///< why not, or ""
};

struct AcceleratorProbe {
  std::string note;                  ///< a file of root's alone that remembers the verdict
  std::string emulator;              ///< QEMU
  std::vector<std::string> kernels;  ///< the first that exists is tried
};

/// Whether /dev/kvm can run a guest, and not only be opened: a KVM that is itself a guest of
/// another may run a firmware and no Linux kernel. Found out once for each boot of the node, by
/// starting a kernel and waiting for a word of it, in at most 10 s. Others who ask meanwhile wait.
[[nodiscard]] Accelerator find_accelerator(const AcceleratorProbe& probe);

/// A verdict as it is remembered, of this boot of the node. Pure.
[[nodiscard]] std::string verdict_text(const Accelerator& verdict, const std::string& boot_id);
/// std::nullopt where the text is of another boot, or none.
[[nodiscard]] std::optional<Accelerator> parse_verdict(const std::string& text,
                                                       const std::string& boot_id);

}  // namespace cloud::kvm
