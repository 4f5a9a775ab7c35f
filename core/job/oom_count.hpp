// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cloud {

/// How many processes of the group and of what is below it the kernel has killed for want of memory
/// (memory.oom_control of cgroup v1, memory.events of v2).
[[nodiscard]] std::uint64_t oom_kills(const std::string& cgroup);

}  // namespace cloud
