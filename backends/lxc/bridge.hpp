// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <spank-cloud/network_interface.hpp>
#include <string>

namespace cloud::lxc {

/// Whether there is a network bridge of that name. Asks the kernel and not /sys, which may be
/// another network namespace's.
[[nodiscard]] bool is_bridge(const std::string& interface);

/// A machine's port of a bridge: a veth, whose other end is given to the machine.
struct BridgePort {
  std::string name;  ///< of the end on the bridge
  std::string peer;  ///< of the end that is the machine's
  std::string bridge;
  std::string mac;  ///< the machine's, "02:00:0a:..."
  bool isolated =
      false;  ///< from other ports that are, too: it reaches the bridge and what is behind
  /// Called in the network namespace of the bridge when the port is there and not up yet.
  std::function<void()> guard;
};

/// Takes the caller into a network namespace of its own, with the machine's end of a new port in
/// it; the other end is on the bridge of the namespace before. What runs there has no other way
/// out, and nobody on the node can connect to the abstract sockets that it listens at. The bridge
/// learns nothing from the port: it knows the machine's address from here on, and takes no other
/// for the machine's. Throws sdk::Failure (CLOUD_E_NODE).
void enter_network_of_port(const BridgePort& port);
/// The same without a port.
void enter_empty_network();

using sdk::delete_interface;

}  // namespace cloud::lxc
