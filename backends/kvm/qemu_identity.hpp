// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cloud::kvm {

/// Whom a machine's QEMU runs as: never the job's user, who could trace it then, and take the
/// descriptors of its network, memory and logs.
struct QemuIdentity {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

/// The id of the machine's range that serves it on the host (spank-cloud/id_map.hpp): no account
/// has it, and no machine maps it. Its group is that of `device` (/dev/kvm; "" for none) where the
/// device lets its group in: libvirt gives an id without an account no supplementary groups. Never
/// root's group.
[[nodiscard]] QemuIdentity qemu_identity(std::uint32_t subid_first, const std::string& device);

/// "" where it may open `device` for reading and writing, else why not.
[[nodiscard]] std::string refusal_for(const std::string& device, const QemuIdentity& qemu);

}  // namespace cloud::kvm
