// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace cloud::lxc {

/// The kernel counts the ptys of all machines of the node together (kernel.pty.max without
/// kernel.pty.reserve, which is the node's own), and bounds none of a machine's: one of them can
/// have all. Whether a machine that starts now still gets `wanted`.
[[nodiscard]] bool has_ptys_left(std::int64_t wanted);

}  // namespace cloud::lxc
