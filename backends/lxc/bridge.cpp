// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/bridge.hpp"

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/network_interface.hpp>

namespace cloud::lxc {
namespace {

using sdk::Descriptor;
using sdk::system_failure;

// RTM_SETLINK of family AF_BRIDGE with one nested attribute, laid out as the kernel wants it: every
// part is a multiple of four bytes.
struct IsolateRequest {
  nlmsghdr header;
  ifinfomsg link;
  rtattr port_attributes;
  rtattr isolated_attribute;
  unsigned char isolated;
  unsigned char padding[3];
};

}  // namespace

bool is_bridge(const std::string& interface) {
  const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket || interface.size() >= IFNAMSIZ) return false;
  ethtool_drvinfo information{};
  information.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  std::memcpy(request.ifr_name, interface.c_str(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&information);
  return ::ioctl(socket.value(), SIOCETHTOOL, &request) == 0 &&
         std::strcmp(information.driver, "bridge") == 0;
}

void isolate_port(const std::string& interface) {
  const auto fail = [&](int number) {
    return system_failure(CLOUD_E_NODE, "isolate the machine's network port " + interface, number);
  };
  const auto index = ::if_nametoindex(interface.c_str());
  if (index == 0) throw fail(errno);
  IsolateRequest request{};
  request.link.ifi_family = AF_BRIDGE;
  request.link.ifi_index = static_cast<int>(index);
  request.port_attributes.rta_type = IFLA_PROTINFO | NLA_F_NESTED;
  request.port_attributes.rta_len = sizeof request - offsetof(IsolateRequest, port_attributes);
  request.isolated_attribute.rta_type = IFLA_BRPORT_ISOLATED;
  request.isolated_attribute.rta_len = RTA_LENGTH(1);
  request.isolated = 1;
  if (const int problem = sdk::ask_rtnetlink(request, RTM_SETLINK); problem != 0)
    throw fail(problem);
}

}  // namespace cloud::lxc
