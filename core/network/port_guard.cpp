// SPDX-License-Identifier: Apache-2.0
#include "core/network/port_guard.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter_bridge.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/network/mac_address.hpp"
#include "core/network/nft_batch.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Names in the table of a machine.
constexpr const char* kSent = "sent";
constexpr const char* kArp = "arp_sent";
constexpr const char* kIp = "ip_sent";
constexpr const char* kError = "error_sent";
constexpr const char* kPassed = "ip_passed";
constexpr const char* kToNode = "to_node";
constexpr const char* kBridged = "bridged";
constexpr const char* kForNode = "for_node";
constexpr const char* kForOthers = "for_others";
constexpr const char* kApart = "apart";

// What has passed the rules bears it on the way to the bridge. None that a machine sets comes so
// far: the kernel takes it off between network namespaces, and a virtual machine has none.
constexpr std::uint32_t kPassedMark = 0x5ca1ab1e;

// Before the bridge's own, the site's, and br_netfilter.
constexpr std::int32_t kFirst = -400;

NftTable at_port(const std::string& machine) {
  return {NFPROTO_NETDEV, machine};
}
NftTable at_bridge(const std::string& machine) {
  return {NFPROTO_BRIDGE, machine};
}

// Where things stand in headers, and how long they are.
struct Field {
  std::uint32_t offset;
  std::uint32_t size;
};
constexpr Field kLinkGroupBit{0, 1};
constexpr Field kLinkMachineBytes{0, 2};  ///< of a destination that is a machine's: 02:00, and
constexpr Field kLinkMachineIp{2, 4};     ///< its IPv4 address
constexpr Field kLinkSource{6, 6};
constexpr Field kLinkType{12, 2};
constexpr Field kArpHardware{0, 2};
constexpr Field kArpProtocol{2, 2};
constexpr Field kArpSizes{4, 2};
constexpr Field kArpOperation{6, 2};
constexpr Field kArpSenderMac{8, 6};
constexpr Field kArpSenderIp{14, 4};
constexpr Field kArpTargetIp{24, 4};
constexpr Field kIpVersion{0, 1};
constexpr Field kIpFragment{6, 2};
constexpr Field kIpSource{12, 4};
constexpr Field kIpDestination{16, 4};
constexpr Field kIcmpType{0, 1};
constexpr Field kIcmpQuotedDestination{24, 4};
constexpr Field kSourcePort{0, 2};
constexpr Field kDestinationPort{2, 2};
constexpr Field kTcpFlags{13, 1};

constexpr std::uint16_t kEthernet = 1;
constexpr std::uint16_t kTypeOfArp = 0x0806;
constexpr std::uint16_t kTypeOfIp = 0x0800;
constexpr std::uint16_t kArpRequest = 1;
constexpr std::uint16_t kArpReply = 2;
constexpr std::uint16_t kDns = 53;
// What others would take for a server's word: DNS, DHCP, multicast DNS, LLMNR.
constexpr std::array<std::uint16_t, 4> kPortsOfServers{kDns, 67, 5353, 5355};
constexpr std::array<std::uint8_t, 2> kIcmpOfRouters{ICMP_REDIRECT, 9};
constexpr std::array<std::uint8_t, 3> kIcmpErrors{ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED,
                                                  ICMP_PARAMETERPROB};
constexpr std::array<std::uint8_t, 4> kIcmpAnswers{ICMP_ECHOREPLY, ICMP_DEST_UNREACH,
                                                   ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};
constexpr std::array<std::uint8_t, 2> kTcpAnswers{TH_ACK, TH_RST};
constexpr std::array<std::uint32_t, 3> kTypesForMany{RTN_BROADCAST, RTN_MULTICAST, RTN_ANYCAST};
constexpr std::array<std::uint8_t, 2> kTransports{IPPROTO_UDP, IPPROTO_TCP};

Bytes big_endian(std::uint16_t number) {
  return {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number & 0xff)};
}

// As nft's registers hold a number of the kernel's own.
Bytes of_kernel(std::uint32_t number) {
  Bytes bytes(sizeof number);
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::uint32_t number_of(const std::string& address) {
  in_addr parsed{};
  return ::inet_pton(AF_INET, address.c_str(), &parsed) == 1 ? ntohl(parsed.s_addr) : 0;
}

Bytes bytes_of(const std::string& address) {
  const auto number = number_of(address);
  Bytes bytes = big_endian(static_cast<std::uint16_t>(number >> 16));
  const auto low = big_endian(static_cast<std::uint16_t>(number & 0xffff));
  bytes.insert(bytes.end(), low.begin(), low.end());
  return bytes;
}

// A pool is most often a few runs of neighbours.
std::vector<AddressRun> runs_of(const std::vector<std::string>& addresses) {
  std::vector<std::uint32_t> numbers;
  for (const auto& address : addresses) {
    if (const auto number = number_of(address); number != 0) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  std::vector<AddressRun> runs;
  for (const auto number : numbers) {
    if (!runs.empty() && number <= runs.back().last + 1) {
      runs.back().last = number;
    } else {
      runs.push_back({number, number});
    }
  }
  return runs;
}

std::uint8_t protocol_of(const NodeService& service) {
  if (service.protocol == "icmp") return IPPROTO_ICMP;
  return service.protocol == "udp" ? IPPROTO_UDP : IPPROTO_TCP;
}

// The rules of one machine, written down in a batch.
class Writer {
 public:
  Writer(const PortGuard& guard, NftBatch& batch)
      : guard_{guard},
        batch_{batch},
        mac_{mac_bytes(guard.mac)},
        address_{bytes_of(guard.address)} {}

  void write() {
    for (const auto& table : {table_, at_bridge(guard_.machine)}) {
      // Adding it first makes one that is not there no failure.
      batch_.add_table(table);
      batch_.delete_table(table);
      batch_.add_table(table);
    }
    batch_.add_set(table_, kApart, runs_of(guard_.kept_apart));
    for (const auto* chain : {kArp, kIp, kError, kPassed, kToNode}) batch_.add_chain(table_, chain);
    batch_.add_base_chain(table_, kSent, NF_NETDEV_INGRESS, 0, NF_DROP, guard_.port);
    write_sent();
    write_arp();
    write_ip();
    write_passed();
    write_to_node();
    write_bridge();
  }

 private:
  void rule(const char* chain, NftRule&& rule) { batch_.add_rule(table_, chain, std::move(rule)); }
  void pass(const char* chain, NftRule&& rule) {
    rule.set_mark(kPassedMark);
    batch_.add_rule(table_, chain, std::move(rule).accept());
  }

  static NftRule link(Field field) {
    NftRule rule;
    rule.link(field.offset, field.size);
    return rule;
  }
  static NftRule network(Field field) {
    NftRule rule;
    rule.network(field.offset, field.size);
    return rule;
  }
  // Of a packet of that protocol.
  static NftRule transport(std::uint8_t protocol, Field field) {
    NftRule rule;
    rule.protocol().is({protocol}).transport(field.offset, field.size);
    return rule;
  }
  static NftRule destination_is(std::uint32_t type) {
    NftRule rule;
    rule.destination_type().is(of_kernel(type));
    return rule;
  }

  // The type as it is in the frame: one with a VLAN's tag has the tag's there. Neither that nor
  // IPv6, which machines do not have, is let in.
  void write_sent() {
    auto others = link(kLinkSource);
    rule(kSent, std::move(others.is_not(mac_)).drop());
    auto arp = link(kLinkType);
    rule(kSent, std::move(arp.is(big_endian(kTypeOfArp))).go_to(kArp));
    auto ip = link(kLinkType);
    // One that is too short to have all of it is none.
    ip.is(big_endian(kTypeOfIp))
        .network(kIpVersion.offset, kIpVersion.size)
        .masked({0xf0})
        .is({0x40});
    ip.network(kIpSource.offset, kIpSource.size).is(address_);
    ip.network(kIpDestination.offset, kIpDestination.size).is_not({0, 0, 0, 0});
    rule(kSent, std::move(ip).go_to(kIp));
  }

  void write_arp() {
    const auto unless = [&](Field field, const Bytes& value) {
      auto wrong = network(field);
      rule(kArp, std::move(wrong.is_not(value)).drop());
    };
    unless(kArpHardware, big_endian(kEthernet));
    unless(kArpProtocol, big_endian(kTypeOfIp));
    unless(kArpSizes, {6, 4});
    unless(kArpSenderMac, mac_);
    for (const auto operation : {kArpRequest, kArpReply}) {
      auto own = network(kArpOperation);
      own.is(big_endian(operation)).network(kArpSenderIp.offset, kArpSenderIp.size).is(address_);
      pass(kArp, std::move(own));
    }
    // Who asks whether its own address is free.
    auto probe = network(kArpOperation);
    probe.is(big_endian(kArpRequest))
        .network(kArpSenderIp.offset, kArpSenderIp.size)
        .is({0, 0, 0, 0});
    probe.network(kArpTargetIp.offset, kArpTargetIp.size).is(address_);
    pass(kArp, std::move(probe));
    rule(kArp, NftRule{}.drop());
  }

  void write_ip() {
    // By the frame's address, whatever the packet's is: to many, and to another job's machine,
    // which may hand on what is not for it.
    auto to_many = link(kLinkGroupBit);
    rule(kIp, std::move(to_many.masked({1}).is({1})).drop());
    auto to_machine = link(kLinkMachineBytes);
    to_machine.is({0x02, 0x00}).link(kLinkMachineIp.offset, kLinkMachineIp.size);
    rule(kIp, std::move(to_machine.is_in(kApart)).drop());
    for (const auto port : kPortsOfServers) {
      auto answer = transport(IPPROTO_UDP, kSourcePort);
      rule(kIp, std::move(answer.is(big_endian(port))).drop());
    }
    auto answer = transport(IPPROTO_TCP, kSourcePort);
    rule(kIp, std::move(answer.is(big_endian(kDns))).drop());
    for (const auto type : kIcmpOfRouters) {
      auto router = transport(IPPROTO_ICMP, kIcmpType);
      rule(kIp, std::move(router.is({type})).drop());
    }
    for (const auto type : kIcmpErrors) {
      auto error = transport(IPPROTO_ICMP, kIcmpType);
      rule(kIp, std::move(error.is({type})).go_to(kError));
    }
    rule(kIp, NftRule{}.go_to(kPassed));
    // An error is about a packet that was for the machine. Others would make whoever believes them
    // change what they know of the way to a third.
    auto own = network(kIpDestination);
    own.transport(kIcmpQuotedDestination.offset, kIcmpQuotedDestination.size).is(address_);
    rule(kError, std::move(own).go_to(kPassed));
    rule(kError, NftRule{}.drop());
  }

  void write_passed() {
    for (const auto type : kTypesForMany) rule(kPassed, destination_is(type).drop());
    // Also where the node has no route that says so.
    auto multicast = network({kIpDestination.offset, 1});
    rule(kPassed, std::move(multicast.masked({0xf0}).is({0xe0})).drop());
    auto everybody = network(kIpDestination);
    rule(kPassed, std::move(everybody.is({255, 255, 255, 255})).drop());
    rule(kPassed, destination_is(RTN_LOCAL).go_to(kToNode));
    auto apart = network(kIpDestination);
    rule(kPassed, std::move(apart.is_in(kApart)).drop());
    pass(kPassed, NftRule{});
  }

  void write_to_node() {
    // A first piece may be too short to show what the whole is.
    auto piece = network(kIpFragment);
    rule(kToNode, std::move(piece.masked({0x3f, 0xff}).is_not({0, 0})).drop());
    // What answers the node, and no more: who opens a connection says SYN without ACK.
    for (const auto flag : kTcpAnswers) {
      auto answer = transport(IPPROTO_TCP, kTcpFlags);
      pass(kToNode, std::move(answer.masked({flag}).is({flag})));
    }
    for (const auto type : kIcmpAnswers) {
      auto answer = transport(IPPROTO_ICMP, kIcmpType);
      pass(kToNode, std::move(answer.is({type})));
    }
    for (const auto& server : guard_.dns) {
      for (const auto protocol : kTransports) {
        auto question = network(kIpDestination);
        question.is(bytes_of(server)).protocol().is({protocol});
        question.transport(kDestinationPort.offset, kDestinationPort.size).is(big_endian(kDns));
        pass(kToNode, std::move(question));
      }
    }
    for (const auto& service : guard_.node_services) write_service(service);
    rule(kToNode, NftRule{}.drop());
  }

  void write_service(const NodeService& service) {
    const bool is_echo = service.protocol == "icmp";
    auto wanted = transport(protocol_of(service), is_echo ? kIcmpType : kDestinationPort);
    wanted.is(is_echo ? Bytes{ICMP_ECHO} : big_endian(service.port));
    pass(kToNode, std::move(wanted));
  }

  // A container has ways past its port's hook (an ifb(4) of its own marks what it sends on as seen
  // already), but none past the bridge: what does not bear the mark ends there. What is for the
  // bridge's own protocols is not routed before it comes to the node.
  void write_bridge() {
    const auto table = at_bridge(guard_.machine);
    const std::array<std::pair<const char*, std::uint32_t>, 3> hooks{
        {{kBridged, NF_BR_PRE_ROUTING}, {kForNode, NF_BR_LOCAL_IN}, {kForOthers, NF_BR_FORWARD}}};
    for (const auto& [chain, hook] : hooks) {
      batch_.add_base_chain(table, chain, hook, kFirst, NF_ACCEPT);
      NftRule unseen;
      unseen.came_in_by(guard_.port).mark().is_not(of_kernel(kPassedMark));
      batch_.add_rule(table, chain, std::move(unseen).drop());
      if (hook == NF_BR_PRE_ROUTING) continue;
      NftRule seen;
      seen.came_in_by(guard_.port).set_mark(0);
      batch_.add_rule(table, chain, std::move(seen).accept());
    }
  }

  const PortGuard& guard_;
  NftBatch& batch_;
  NftTable table_ = at_port(guard_.machine);
  Bytes mac_;
  Bytes address_;
};

// A bridge's port needs no address of its own, and what has none answers nobody.
Result<void> take_ipv6_off(const std::string& port) {
  const auto file = "/proc/sys/net/ipv6/conf/" + port + "/disable_ipv6";
  const UniqueFd value{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!value && errno == ENOENT) return {};  // a node without IPv6
  if (!value || ::write(value.value(), "1", 1) != 1) {
    return os_error(Blame::node, "write " + file, errno);
  }
  return {};
}

}  // namespace

Result<void> set_port_guard(const PortGuard& guard) {
  NftBatch batch;
  Writer{guard, batch}.write();
  if (auto done = batch.commit(); !done) {
    return std::move(done).error().within("hold back what the machine sends over " + guard.port +
                                          " (filter = false in the pool's table does without)");
  }
  return take_ipv6_off(guard.port);
}

Result<void> keep_apart(const std::string& machine, const std::vector<std::string>& addresses) {
  NftBatch batch;
  batch.empty_set(at_port(machine), kApart);
  batch.fill_set(at_port(machine), kApart, runs_of(addresses));
  return batch.commit();
}

Result<void> remove_port_guard(const std::string& machine) {
  NftBatch batch;
  for (const auto& table : {at_port(machine), at_bridge(machine)}) {
    batch.add_table(table);
    batch.delete_table(table);
  }
  auto done = batch.commit();
  if (done || has_no_nftables(done.error())) return {};
  return std::move(done).error().within("remove the rules of machine " + machine);
}

Result<bool> is_guarded(const std::string& machine) {
  for (const auto family : {NFPROTO_NETDEV, NFPROTO_BRIDGE}) {
    const auto names = nft_tables(static_cast<std::uint8_t>(family));
    if (!names) return names.error();
    if (std::find(names->begin(), names->end(), machine) == names->end()) return false;
  }
  return true;
}

Result<std::vector<std::string>> guarded_machines() {
  auto names = nft_tables(NFPROTO_NETDEV);
  const auto more = nft_tables(NFPROTO_BRIDGE);
  if (!names) return names;
  if (!more) return more;
  for (const auto& name : *more) {
    if (std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
  }
  return names;
}

}  // namespace cloud
