// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud::kvm {

/// With the release in it: libvirtd keeps a filter that it has, whatever it says.
inline constexpr const char* kNetworkFilter = "spank-cloud-" CLOUD_VERSION;

/// The filter of every machine: it sends from its own MAC and leased address alone, by ARP and IPv4
/// alone.
[[nodiscard]] std::string network_filter_xml();

}  // namespace cloud::kvm
