// SPDX-License-Identifier: Apache-2.0
//
// Two ids of every machine's range are never mapped into it, so that nothing in a machine can have
// them: no distribution uses their numbers (65535 is -1 in 16 bits, and 65533 is free).
#ifndef SPANK_CLOUD_BASE_MACHINE_IDS_HPP
#define SPANK_CLOUD_BASE_MACHINE_IDS_HPP

#include <cstdint>

namespace cloud {
namespace sdk {

/// The id that owns a machine's user namespace: no process runs with it, no file bears it. Whoever
/// owns a user namespace may enter it, and trace what runs there.
[[nodiscard]] constexpr std::uint32_t namespace_owner(std::uint32_t subid_first) noexcept {
  return subid_first + 65535;
}

/// The id that programs of the host's run with which serve one machine and are not in it, as its
/// QEMU: neither the job's user nor another machine has a right over them.
[[nodiscard]] constexpr std::uint32_t engine_id(std::uint32_t subid_first) noexcept {
  return subid_first + 65533;
}

}  // namespace sdk
}  // namespace cloud

#endif
