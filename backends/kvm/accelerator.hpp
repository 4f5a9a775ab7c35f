// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "backends/kvm/kvm_probe.hpp"
#include "backends/kvm/qemu_identity.hpp"

namespace cloud::kvm {

/// What an administrator does where QEMU may not open /dev/kvm.
inline constexpr const char* kHowToOpen =
    "chgrp kvm /dev/kvm and chmod 0660 /dev/kvm, with a udev rule that keeps it";

struct Accelerator {
  bool hardware = false;  ///< KVM
  std::string reason;     ///< why not, or ""
};

/// Finds out whether /dev/kvm can run a guest, and not only be opened by root: a KVM that is itself
/// a guest of another may run a firmware and no operating system. Once for each boot of the node,
/// in some 2 s, and remembered in `note`, a file of root's alone; others who ask meanwhile wait.
/// Not for a process in a job's control group: its user can make it too slow, and that verdict is
/// for all.
void find_out_about_kvm(const std::string& note);

/// Whether KVM can run a guest of this QEMU's: by `note`, or where that has nothing of this boot by
/// a trial for this machine alone. What an administrator may mend while the node runs (no device,
/// no right) is looked at each time.
[[nodiscard]] Accelerator find_accelerator(const std::string& note, const QemuIdentity& qemu);

/// The verdict that `note` has of this boot; else that of `probe`, which is written down where it
/// is lasting.
[[nodiscard]] Accelerator remembered_verdict(const std::string& note,
                                             const std::function<ProbeAnswer()>& probe);

/// A verdict as it is remembered, of this boot of the node. Pure.
[[nodiscard]] std::string verdict_text(const Accelerator& verdict, const std::string& boot_id);
/// std::nullopt where the text is of another boot, or none.
[[nodiscard]] std::optional<Accelerator> parse_verdict(const std::string& text,
                                                       const std::string& boot_id);

}  // namespace cloud::kvm
