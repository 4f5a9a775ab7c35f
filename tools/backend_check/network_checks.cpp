// SPDX-License-Identifier: Apache-2.0
//
// A machine sends from its own addresses alone, and is no router: frames made inside, and whoever
// is on the bridge listens.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/network/mac_address.hpp"
#include "core/network/port_guard.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

using Frame = std::vector<std::uint8_t>;

// In each frame of ours, so that it is known again.
constexpr std::array<std::uint8_t, 8> kMark{'s', 'p', 'a', 'n', 'k', 'c', 'l', 'o'};

void append(Frame& frame, std::initializer_list<int> bytes) {
  for (const int byte : bytes) frame.push_back(static_cast<std::uint8_t>(byte));
}

Frame begin(const Frame& to, const Frame& from, int type) {
  Frame frame = to;
  frame.insert(frame.end(), from.begin(), from.end());
  append(frame, {type >> 8, type & 0xff});
  return frame;
}

Frame marked(Frame frame) {
  frame.insert(frame.end(), kMark.begin(), kMark.end());
  return frame;
}

// What a machine may send: who has the gateway's address?
Frame arp_question(const MachineNetwork& network, const Frame& mac) {
  auto frame = begin({255, 255, 255, 255, 255, 255}, mac, ETHERTYPE_ARP);
  append(frame, {0, 1, 8, 0, 6, 4, 0, 1});
  frame.insert(frame.end(), mac.begin(), mac.end());
  std::array<std::uint8_t, 4> own{};
  ::inet_pton(AF_INET, network.address.c_str(), own.data());
  frame.insert(frame.end(), own.begin(), own.end());
  append(frame, {0, 0, 0, 0, 0, 0});
  frame.insert(frame.end(), own.begin(), own.end());
  return marked(std::move(frame));
}

// A router's advertisement to all nodes, which makes whoever believes it send everything here.
Frame router_advertisement(const Frame& mac) {
  auto frame = begin({0x33, 0x33, 0, 0, 0, 1}, mac, ETHERTYPE_IPV6);
  append(frame, {0x60, 0, 0, 0, 0, 16, 58, 255});
  append(frame, {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  append(frame, {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  append(frame, {134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0});
  return marked(std::move(frame));
}

Frame foreign_question(const MachineNetwork& network) {
  return arp_question(network, {0x02, 0xba, 0xd0, 0, 0, 1});
}

struct Sent {
  const char* what;
  bool may_pass;
  Frame frame;
};

std::vector<Sent> frames_of(const MachineNetwork& network) {
  const auto mac = mac_bytes(network.mac);
  return {{"a question for an address, from its own", true, arp_question(network, mac)},
          {"a router advertisement", false, router_advertisement(mac)},
          {"a question from another MAC address", false, foreign_question(network)}};
}

UniqueFd packet_socket(const std::string& interface) {
  UniqueFd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))};
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (at.sll_ifindex == 0 ||
      ::bind(socket.value(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    socket.reset();
  }
  return socket;
}

// As root of the machine, over each of its interfaces but the loopback.
Result<std::string> send_from(std::int64_t init_pid, const std::vector<Sent>& frames) {
  const auto file = "/proc/" + std::to_string(init_pid) + "/ns/net";
  const UniqueFd network{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!network || ::setns(network.value(), CLONE_NEWNET) != 0) {
    return os_error(Blame::node, "enter the network of the machine", errno);
  }
  auto* const all = ::if_nameindex();
  int ways = 0;
  for (auto* one = all; one != nullptr && one->if_index != 0; ++one) {
    if (std::strcmp(one->if_name, "lo") == 0) continue;
    const auto socket = packet_socket(one->if_name);
    for (const auto& sent : frames) {
      if (::send(socket.value(), sent.frame.data(), sent.frame.size(), 0) > 0) ++ways;
    }
  }
  ::if_freenameindex(all);
  return std::to_string(ways);
}

// Which of the frames come in at the bridge within a moment.
std::vector<bool> heard(const UniqueFd& bridge, const std::vector<Sent>& frames) {
  std::vector<bool> seen(frames.size(), false);
  const auto end = std::chrono::steady_clock::now() + 300ms;
  std::array<std::uint8_t, 2048> buffer{};
  for (auto left = 300ms; left > 0ms; left = std::chrono::ceil<std::chrono::milliseconds>(
                                          end - std::chrono::steady_clock::now())) {
    if (!is_ready_within(bridge.value(), POLLIN, left)) break;
    const auto size = ::recv(bridge.value(), buffer.data(), buffer.size(), 0);
    if (size <= 0) continue;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto& frame = frames[i].frame;
      if (static_cast<std::size_t>(size) < frame.size()) continue;
      seen[i] = seen[i] || std::equal(frame.begin(), frame.end(), buffer.begin());
    }
  }
  return seen;
}

Result<std::string> try_frames(const Trial& trial, std::int64_t init_pid) {
  const auto& network = *trial.spec.network;
  const auto bridge = packet_socket(network.bridge);
  if (!bridge) return os_error(Blame::node, "listen on bridge " + network.bridge, errno);
  const auto frames = frames_of(network);
  auto sender = Worker::start(Role::hook, "", [&] { return send_from(init_pid, frames); });
  if (!sender) return std::move(sender).error();
  const auto sent = sender->wait();
  if (!sent) return sent.error();
  const auto seen = heard(bridge, frames);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!frames[i].may_pass && seen[i]) {
      return std::string{"root of the machine sent "} + frames[i].what +
             ", and it came in at bridge " + network.bridge +
             ": call Host::guard_port() before the machine's port is up";
    }
  }
  if (!seen[0]) {
    return std::string{"nothing that root of the machine sent came in at bridge "} + network.bridge;
  }
  return std::string{};
}

Result<std::string> is_held_back(const Trial& trial, Subject& subject) {
  if (auto done = trial.bring_up(subject); !done) return std::move(done).error();
  cloud_machine_info info{};
  if (auto done = must(subject.info(trial.ref(), info)); !done) return std::move(done).error();
  const auto guarded = guarded_machines();
  if (!guarded) return guarded.error();
  if (std::find(guarded->begin(), guarded->end(), trial.spec.name) == guarded->end()) {
    return std::string{
        "start() of a machine with a network did not call Host::guard_port(): it can send whatever "
        "it likes"};
  }
  // What has no namespace is entered in ways of its own.
  return info.init_pid > 0 ? try_frames(trial, info.init_pid) : std::string{};
}

Verdict sends_as_itself(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  if (!trial->spec.network) return Verdict::skip("its configuration names no pool");
  const auto fault = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    const auto found = is_held_back(*trial, subject);
    if (auto done = trial->destroy(subject); !done) return std::move(done).error();
    return found;
  });
  if (!fault) return fault.error();
  if (auto looked = trial->look(); !looked) return looked;
  if (!fault->empty()) return wrong(*fault);
  return {};
}

}  // namespace

std::vector<Check> network_checks() {
  return {{"sends_as_itself", "a machine sends from its own addresses alone, and is no router",
           sends_as_itself}};
}

}  // namespace cloud
