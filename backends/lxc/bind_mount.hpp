// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>

namespace cloud::lxc {

/// Mounts what source_fd refers to at the target inside the root, with all that is mounted below
/// it, without set-uid bits and devices. Works on descriptors alone: what a name refers to may have
/// been swapped by the user since. Throws sdk::Failure.
void bind_mount(int root, const cloud_mount& mount, std::uint32_t owner);

/// The same for a program of the host, read-only and executable as it is.
void bind_program(int root, const char* program, const char* target, std::uint32_t owner);

}  // namespace cloud::lxc
