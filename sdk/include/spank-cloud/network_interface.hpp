// SPDX-License-Identifier: Apache-2.0
//
// The host's side of a machine's network.
#ifndef SPANK_CLOUD_NETWORK_INTERFACE_HPP
#define SPANK_CLOUD_NETWORK_INTERFACE_HPP

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud {
namespace sdk {

/// Sends one request, a structure that begins with `nlmsghdr header`, to the kernel's routing
/// netlink and waits for its acknowledgement; 0 or the error's number.
template <typename Request>
[[nodiscard]] int ask_rtnetlink(Request& request, unsigned short type) {
  struct Answer {
    nlmsghdr header;
    nlmsgerr error;
    std::array<char, 256> rest;
  };
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  const Descriptor socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  const auto send = [&] { return ::send(socket.value(), &request, sizeof request, 0); };
  if (!socket || uninterrupted(send) < 0) return errno;
  Answer answer{};
  const auto receive = [&] { return ::recv(socket.value(), &answer, sizeof answer, 0); };
  if (uninterrupted(receive) < 0) return errno;
  return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
}

/// Removes a network interface of the host; absent is success. Throws CLOUD_E_NODE. A tap lives as
/// long as any process has a descriptor of it, and so long it sends into its bridge: only the
/// removal of the interface ends that, and rules that hold it back must outlive it.
inline void delete_interface(const std::string& interface) {
  const auto index = ::if_nametoindex(interface.c_str());
  if (index == 0) return;
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.link.ifi_index = static_cast<int>(index);
  const int problem = ask_rtnetlink(request, RTM_DELLINK);
  if (problem != 0 && problem != ENODEV) {
    throw system_failure(CLOUD_E_NODE, "remove the network interface " + interface, problem);
  }
}

}  // namespace sdk
}  // namespace cloud

#endif
