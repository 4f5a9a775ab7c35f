// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/bridge.hpp"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/network_interface.hpp>

namespace cloud::lxc {
namespace {

using sdk::Descriptor;
using sdk::Failure;
using sdk::RtnetlinkRequest;
using sdk::system_failure;

using HardwareAddress = std::array<unsigned char, 6>;

HardwareAddress parse_mac(const std::string& text) {
  HardwareAddress mac{};
  if (std::sscanf(text.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
                  &mac[4], &mac[5]) != 6) {
    throw Failure{CLOUD_E_INTERNAL, "'" + text + "' is no hardware address"};
  }
  return mac;
}

ifinfomsg link_of(unsigned index) {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  return link;
}

// As the bridge's, whose packets are to fit through.
std::uint32_t mtu_of(const std::string& interface) {
  const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  if (!socket || ::ioctl(socket.value(), SIOCGIFMTU, &request) != 0) {
    throw system_failure(CLOUD_E_NODE, "ask for the MTU of bridge " + interface, errno);
  }
  return static_cast<std::uint32_t>(request.ifr_mtu);
}

class Port {
 public:
  Port(const BridgePort& order, Descriptor netlink) : order_{order}, netlink_{std::move(netlink)} {}

  // Not up yet: nothing passes before all is set.
  void make(unsigned bridge, std::uint32_t mtu, int machines_network) {
    auto own = mac_;
    // A bridge without an address of its own takes the lowest of its ports'.
    own[0] = 0xfe;
    RtnetlinkRequest request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{}};
    request.add(IFLA_IFNAME, order_.name);
    request.add_number(IFLA_ADDRESS, own);
    request.add_number(IFLA_MTU, mtu);
    request.add_number(IFLA_MASTER, bridge);
    request.nest(IFLA_LINKINFO, [&] {
      request.add(IFLA_INFO_KIND, std::string{"veth"});
      request.nest(IFLA_INFO_DATA, [&] {
        request.nest(VETH_INFO_PEER, [&] {
          request.append_fixed(ifinfomsg{});
          request.add(IFLA_IFNAME, order_.peer);
          request.add_number(IFLA_ADDRESS, mac_);
          request.add_number(IFLA_MTU, mtu);
          request.add_number(IFLA_NET_NS_FD, machines_network);
        });
      });
    });
    must("make", request.send(netlink_));
  }

  void set_port(unsigned index) {
    auto link = link_of(index);
    link.ifi_family = AF_BRIDGE;
    RtnetlinkRequest request{RTM_SETLINK, 0, link};
    request.nest(IFLA_PROTINFO | NLA_F_NESTED, [&] {
      request.add_number(IFLA_BRPORT_LEARNING, std::uint8_t{0});
      request.add_number(IFLA_BRPORT_UNICAST_FLOOD, std::uint8_t{0});
      request.add_number(IFLA_BRPORT_ISOLATED, static_cast<std::uint8_t>(order_.isolated));
    });
    must("set the bridge's options of", request.send(netlink_));
  }

  void tell_bridge_of_machine(unsigned index) {
    ndmsg neighbour{};
    neighbour.ndm_family = AF_BRIDGE;
    neighbour.ndm_ifindex = static_cast<int>(index);
    neighbour.ndm_state = NUD_NOARP | NUD_REACHABLE;
    neighbour.ndm_flags = NTF_MASTER;
    RtnetlinkRequest request{RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour};
    request.add_number(NDA_LLADDR, mac_);
    must("tell the bridge of the machine at", request.send(netlink_));
  }

  // The node has no address here that a machine could speak to.
  void silence(unsigned index) {
    RtnetlinkRequest request{RTM_SETLINK, 0, link_of(index)};
    request.nest(IFLA_AF_SPEC, [&] {
      request.nest(AF_INET6, [&] {
        request.add_number(IFLA_INET6_ADDR_GEN_MODE, std::uint8_t{IN6_ADDR_GEN_MODE_NONE});
      });
    });
    const int problem = request.send(netlink_);
    // A node without IPv6.
    if (problem != EAFNOSUPPORT && problem != EOPNOTSUPP) must("take IPv6 off", problem);
  }

  void start(unsigned index) {
    auto link = link_of(index);
    link.ifi_flags = IFF_UP;
    link.ifi_change = IFF_UP;
    must("start", RtnetlinkRequest{RTM_SETLINK, 0, link}.send(netlink_));
  }

 private:
  void must(const std::string& what, int problem) const {
    if (problem == 0) return;
    throw system_failure(CLOUD_E_NODE, what + " the machine's network port " + order_.name,
                         problem);
  }

  const BridgePort& order_;
  HardwareAddress mac_ = parse_mac(order_.mac);
  Descriptor netlink_;
};

unsigned index_of(const std::string& interface) {
  const auto index = ::if_nametoindex(interface.c_str());
  if (index == 0) throw system_failure(CLOUD_E_NODE, "find interface " + interface, errno);
  return index;
}

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

void enter_empty_network() {
  if (::unshare(CLONE_NEWNET) != 0) {
    throw system_failure(CLOUD_E_NODE, "make a network namespace", errno);
  }
}

void enter_network_of_port(const BridgePort& order) {
  const Descriptor of_node{::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
  const auto bridge = index_of(order.bridge);
  const auto mtu = mtu_of(order.bridge);
  Port port{order, sdk::open_rtnetlink()};
  enter_empty_network();
  const Descriptor own{::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
  if (!of_node || !own) throw system_failure(CLOUD_E_NODE, "open /proc/self/ns/net", errno);
  port.make(bridge, mtu, own.value());
  if (::setns(of_node.value(), CLONE_NEWNET) != 0) {
    throw system_failure(CLOUD_E_NODE, "go back to the node's network", errno);
  }
  const auto index = index_of(order.name);
  order.guard();
  if (::setns(own.value(), CLONE_NEWNET) != 0) {
    throw system_failure(CLOUD_E_NODE, "enter the machine's network", errno);
  }
  port.set_port(index);
  port.tell_bridge_of_machine(index);
  port.silence(index);
  port.start(index);
}

}  // namespace cloud::lxc
