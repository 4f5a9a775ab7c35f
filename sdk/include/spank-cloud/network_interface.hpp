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
#include <cstddef>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud {
namespace sdk {

/// A socket of the kernel's routing netlink in the network namespace that the caller is in now: its
/// requests go on meaning that one when the caller has gone to another. Throws CLOUD_E_NODE.
[[nodiscard]] inline Descriptor open_rtnetlink() {
  Descriptor socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  if (!socket) throw system_failure(CLOUD_E_NODE, "open a netlink socket", errno);
  return socket;
}

/// A request to the kernel's routing netlink: the fixed part that goes with its type, such as
/// ifinfomsg, and attributes, which may nest. 2 KiB at most.
class RtnetlinkRequest {
 public:
  template <typename Fixed>
  RtnetlinkRequest(unsigned short type, unsigned short flags, const Fixed& fixed) {
    head().nlmsg_type = type;
    head().nlmsg_flags = static_cast<unsigned short>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&fixed, sizeof fixed);
  }

  void add(unsigned short type, const void* data, std::size_t size) {
    const auto start = begin(type);
    append(data, size);
    end(start);
  }
  /// With the 0 at its end, as the kernel wants names.
  void add(unsigned short type, const std::string& text) {
    add(type, text.c_str(), text.size() + 1);
  }
  template <typename Number>
  void add_number(unsigned short type, Number number) {
    add(type, &number, sizeof number);
  }
  /// An attribute whose value `fill` appends.
  template <typename Fill>
  void nest(unsigned short type, Fill&& fill) {
    const auto start = begin(type);
    fill();
    end(start);
  }
  /// Bytes of an attribute's value that are no attribute: the fixed part of a peer's description.
  template <typename Fixed>
  void append_fixed(const Fixed& fixed) {
    append(&fixed, sizeof fixed);
  }

  /// Waits for the kernel's acknowledgement; 0 or the error's number.
  [[nodiscard]] int send(const Descriptor& socket) {
    struct Answer {
      nlmsghdr header;
      nlmsgerr error;
      std::array<char, 256> rest;
    };
    head().nlmsg_len = static_cast<__u32>(size_);
    const auto ask = [&] { return ::send(socket.value(), bytes_.data(), size_, 0); };
    if (uninterrupted(ask) < 0) return errno;
    Answer answer{};
    const auto receive = [&] { return ::recv(socket.value(), &answer, sizeof answer, 0); };
    if (uninterrupted(receive) < 0) return errno;
    return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
  }

 private:
  static constexpr std::size_t kMost = 2048;

  nlmsghdr& head() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  std::size_t begin(unsigned short type) {
    const auto start = size_;
    const rtattr attribute{0, type};
    append(&attribute, sizeof attribute);
    return start;
  }
  void end(std::size_t start) {
    const auto length = static_cast<unsigned short>(size_ - start);
    std::memcpy(bytes_.data() + start, &length, sizeof length);
    while (size_ % NLMSG_ALIGNTO != 0) bytes_[size_++] = 0;
  }
  void append(const void* data, std::size_t size) {
    if (size > kMost - NLMSG_ALIGNTO - size_) {
      throw Failure{CLOUD_E_INTERNAL, "a netlink request is too long"};
    }
    std::memcpy(bytes_.data() + size_, data, size);
    size_ += size;
  }

  alignas(nlmsghdr) std::array<char, kMost> bytes_{};
  std::size_t size_ = sizeof(nlmsghdr);
};

/// Removes a network interface of the host; absent is success. Throws CLOUD_E_NODE. A tap lives as
/// long as any process has a descriptor of it, and so long it sends into its bridge: only the
/// removal of the interface ends that, and rules that hold it back must outlive it.
inline void delete_interface(const std::string& interface) {
  const auto index = ::if_nametoindex(interface.c_str());
  if (index == 0) return;
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  const int problem = RtnetlinkRequest{RTM_DELLINK, 0, link}.send(open_rtnetlink());
  if (problem != 0 && problem != ENODEV) {
    throw system_failure(CLOUD_E_NODE, "remove the network interface " + interface, problem);
  }
}

}  // namespace sdk
}  // namespace cloud

#endif
