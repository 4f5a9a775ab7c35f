// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>

namespace cloud::lxc {

/// Mounts what each mount's source_fd refers to at its target inside the root, with all that is
/// mounted below it, without set-uid bits and devices; each is copied before any is mounted. Works
/// on descriptors alone: what a name refers to may have been swapped by the user since. A target
/// that lies in another mount has to exist there: root makes nothing in a folder that is not the
/// machine's own. Throws sdk::Failure.
void bind_mounts(int root, const cloud_machine_spec& spec);

/// Mounts a program of the host, read-only and executable as it is. Before bind_mounts().
void bind_program(int root, const char* program, const char* target, std::uint32_t owner);

}  // namespace cloud::lxc
