// SPDX-License-Identifier: Apache-2.0
//
// What a machine may send over its port of the bridge: rules at the port itself, which need nothing
// of the site's own rules and hold each packet before the bridge or the node looks at it; and one
// at the bridge, as there are ways past the first. A machine has a table in each family, of the
// machine's name. `docs/network.md` says what they hold back.
#pragma once

#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"

namespace cloud {

struct PortGuard {
  std::string machine;  ///< its name is the table's
  std::string port;     ///< the interface on the bridge
  std::string mac;      ///< the machine's one address there, "02:00:0a:..."
  std::string address;  ///< its one IPv4 address
  std::vector<std::string> dns;
  std::vector<NodeService> node_services;  ///< what it reaches of the node besides `dns`
  std::vector<std::string> kept_apart;     ///< addresses of machines that it must not reach
};

/// Puts the rules in force in the place of older ones of that machine's, and takes IPv6 off the
/// node's end of the port, which exists and nothing has passed yet. Blame::node.
[[nodiscard]] Result<void> set_port_guard(const PortGuard& guard);

/// From now on these, and no others, are the machines that it must not reach.
[[nodiscard]] Result<void> keep_apart(const std::string& machine,
                                      const std::vector<std::string>& addresses);

/// Removes the machine's rules; success where there are none. Only when its port has gone: until
/// then they are what holds the machine back.
[[nodiscard]] Result<void> remove_port_guard(const std::string& machine);

/// Whether the machine's rules are there, as set_port_guard() has made them: somebody else may have
/// removed them, as `nft flush ruleset` does.
[[nodiscard]] Result<bool> is_guarded(const std::string& machine);

/// The names of all machines, of whichever node, that have rules here; others' tables among them.
[[nodiscard]] Result<std::vector<std::string>> guarded_machines();

}  // namespace cloud
