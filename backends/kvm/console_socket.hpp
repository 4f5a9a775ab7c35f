// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud::kvm {

/// That a socket can have this path: libvirt and QEMU are given it whole. Throws sdk::Failure.
void require_socket_path(const std::string& path);

/// Connects to the socket that libvirt has made for a machine's console, in a folder that root
/// alone can change: no user's link can lead elsewhere. Throws sdk::Failure.
[[nodiscard]] sdk::Descriptor connect_console(const std::string& path);

}  // namespace cloud::kvm
