// SPDX-License-Identifier: Apache-2.0
#include "tools/network_checks.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <spank-cloud/base/uninterrupted.hpp>
#include <string_view>
#include <utility>

#include "core/network/port_guard.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

struct BridgeSetting {
  const char* family;  ///< "ipv4" or "ipv6"
  const char* name;
  char wanted;
  const char* otherwise;  ///< what comes of another value
};
// The first row of IPv6 decides on the others: what is off is not asked for more.
constexpr std::array kBridgeSettings{
    BridgeSetting{"ipv6", "disable_ipv6", '1', "speaks IPv6, which its machines do not have"},
    BridgeSetting{"ipv6", "accept_ra", '0', "believes router advertisements"},
    BridgeSetting{"ipv4", "accept_redirects", '0', "believes redirects"},
    BridgeSetting{"ipv4", "send_redirects", '0', "tells machines of shorter ways to each other"}};

// By doing it, in a network of its own: the kernel loads what it needs, or says that it has not.
Result<void> try_rules() {
  constexpr std::size_t kLongest = 1000;
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return os_error(Blame::node, "make a pipe", errno);
  const UniqueFd from{ends[0]};
  UniqueFd to{ends[1]};
  const pid_t child = ::fork();
  if (child < 0) return os_error(Blame::node, "fork", errno);
  if (child == 0) {
    std::string words;
    if (::unshare(CLONE_NEWNET) != 0) {
      words = os_error(Blame::node, "make a network namespace", errno).message;
    } else if (auto set = set_port_guard({"spank-cloud-doctor",
                                          "lo",
                                          "02:00:00:00:00:01",
                                          "192.0.2.1",
                                          {"192.0.2.2"},
                                          {},
                                          {"192.0.2.3"}});
               !set) {
      words = set.error().message;
    }
    words.resize(std::min(words.size(), kLongest));
    [[maybe_unused]] const auto said = ::write(to.value(), words.data(), words.size());
    ::_exit(0);
  }
  to.reset();
  std::array<char, kLongest> words{};
  const auto size = uninterrupted([&] { return ::read(from.value(), words.data(), words.size()); });
  uninterrupted([&] { return ::waitpid(child, nullptr, 0); });
  if (size <= 0) return {};
  return Error{Blame::node, std::string{words.data(), static_cast<std::size_t>(size)}};
}

void check_bridge(const PoolConfig& pool, Findings& findings) {
  const auto what = "pool " + pool.name;
  bool has_ipv6 = true;
  for (const auto& setting : kBridgeSettings) {
    const bool is_ipv6 = std::string_view{setting.family} == "ipv6";
    if (is_ipv6 && !has_ipv6) continue;
    const auto key = std::string{setting.family} + "/conf/" + pool.bridge + "/" + setting.name;
    // What the kernel goes by of IPv4's: the bridge's own, or all interfaces'.
    const auto for_all = std::string{setting.family} + "/conf/all/" + setting.name;
    const auto is_as_wanted = [&](const std::string& which) {
      const auto value = read_file("/proc/sys/net/" + which, 64);
      return !value || value->front() == setting.wanted;
    };
    const bool is_good = is_as_wanted(key) && (is_ipv6 || is_as_wanted(for_all));
    if (is_ipv6 && is_good) has_ipv6 = false;
    if (is_good) continue;
    findings.note(what, "bridge " + pool.bridge + " " + setting.otherwise + ": sysctl -w net/" +
                            key + "=" + setting.wanted +
                            (is_ipv6 ? "" : " net/" + for_all + "=" + setting.wanted));
  }
}

}  // namespace

void check_networks(const SiteConfig& config, Findings& findings) {
  bool is_tried = false;
  for (const auto& pool : config.pools) {
    check_bridge(pool, findings);
    if (!pool.filter) {
      findings.note("pool " + pool.name,
                    "filter = false: nothing of spank-cloud's holds back what a machine sends");
    } else if (!std::exchange(is_tried, true)) {
      findings.add("network rules", try_rules(), "the kernel takes them");
    }
  }
  const auto bridged = read_file("/proc/sys/net/bridge/bridge-nf-call-iptables", 64);
  if (!config.pools.empty() && bridged && bridged->front() == '1') {
    findings.note("network rules",
                  "br_netfilter is loaded: the node's own iptables rules see what machines send "
                  "over a bridge, too (sysctl -w net/bridge/bridge-nf-call-iptables=0)");
  }
}

}  // namespace cloud
