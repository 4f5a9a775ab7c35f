// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/network_interface.hpp>
#include <string>

namespace cloud::lxc {

/// Whether there is a network bridge of that name. Asks the kernel and not /sys, which may be
/// another network namespace's.
[[nodiscard]] bool is_bridge(const std::string& interface);

/// Keeps a bridge's port from reaching other ports that are isolated, too: a machine reaches the
/// bridge and what is behind it, but no other machine. Throws sdk::Failure (CLOUD_E_NODE).
void isolate_port(const std::string& interface);

using sdk::delete_interface;

}  // namespace cloud::lxc
