// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "backends/kvm/domain_xml.hpp"

namespace cloud::kvm {

/// The CPUs by the NUMA node of the host that they belong to, from /sys/devices/system/node; one
/// node 0 where the kernel names none.
[[nodiscard]] std::vector<NumaNode> numa_nodes_of(const std::vector<std::uint32_t>& cpus);

}  // namespace cloud::kvm
