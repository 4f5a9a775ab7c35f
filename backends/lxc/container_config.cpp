// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/container_config.hpp"

#include <arpa/inet.h>

#include <array>
#include <spank-cloud/interface_name.hpp>

namespace cloud::lxc {
namespace {

using Items = std::vector<std::pair<std::string, std::string>>;

void add_map(Items& items, char kind, const std::vector<IdRange>& map) {
  for (const auto& range : map) {
    items.emplace_back("lxc.idmap", std::string{kind} + " " + std::to_string(range.inside) + " " +
                                        std::to_string(range.outside) + " " +
                                        std::to_string(range.count));
  }
}

// liblxc's own guess goes by the classes of addresses and sets bits that belong to the network.
std::string broadcast_address(const char* address, std::uint32_t prefix_length) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, address, &parsed) != 1) return "";
  const auto hosts = prefix_length == 0 ? ~0U : (1U << (32 - prefix_length)) - 1;
  parsed.s_addr |= htonl(hosts);
  std::array<char, INET_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &parsed, text.data(), text.size());
}

void add_console(Items& items, const std::string& work_dir, bool has_console) {
  if (!has_console) {
    items.emplace_back("lxc.console.path", "none");
    return;
  }
  // Bounded: what a machine prints is its user's to choose.
  items.emplace_back("lxc.console.buffer.size", "64kB");
  items.emplace_back("lxc.console.size", "256kB");
  items.emplace_back("lxc.console.logfile", work_dir + "/console.log");
}

void add_network(Items& items, const cloud_machine_spec& spec) {
  if (spec.network == nullptr) {
    items.emplace_back("lxc.net.0.type", "empty");
    return;
  }
  const auto& network = *spec.network;
  // Of the monitor's network namespace, which has nothing else.
  items.emplace_back("lxc.net.0.type", "phys");
  items.emplace_back("lxc.net.0.link", kMachinesEnd);
  items.emplace_back("lxc.net.0.name", "eth0");
  items.emplace_back("lxc.net.0.hwaddr", network.mac);
  items.emplace_back("lxc.net.0.flags", "up");
  items.emplace_back("lxc.net.0.ipv4.address",
                     std::string{network.address} + "/" + std::to_string(network.prefix_length) +
                         " " + broadcast_address(network.address, network.prefix_length));
  if (*network.gateway != '\0') items.emplace_back("lxc.net.0.ipv4.gateway", network.gateway);
}

}  // namespace

Items container_config(const cloud_machine_spec& spec, const ContainerPlan& plan) {
  const std::string work_dir = spec.work_dir;
  const std::string cgroup =
      plan.relative_cgroup ? "" : std::string{spec.cgroup + (*spec.cgroup == '/' ? 1 : 0)} + "/";
  Items items{
      {"lxc.log.file", work_dir + "/lxc.log"},
      {"lxc.log.level", plan.log_level},
      {"lxc.uts.name", spec.hostname},
      {"lxc.rootfs.path", "dir:" + work_dir + "/rootfs"},
      {"lxc.namespace.share.user", plan.user_namespace},
      {"lxc.init.cmd", plan.init},
      {"lxc.autodev", "1"},
      {"lxc.pty.max", "1024"},
      {"lxc.tty.max", plan.systemd && plan.has_console ? "1" : "0"},
      {"lxc.cap.drop", "mac_admin mac_override sys_module sys_rawio sys_time"},
      {"lxc.mount.auto",
       plan.systemd ? "proc:mixed sys:mixed cgroup:mixed" : "proc:mixed sys:mixed"},
      // Not one of liblxc's making: the end of the job empties it
      // (core/machine/machine_layers.hpp).
      {"lxc.mount.entry", work_dir + "/shm dev/shm none bind,rw,nosuid,nodev,create=dir 0 0"},
      {"lxc.mount.entry",
       "mqueue dev/mqueue mqueue rw,nosuid,nodev,noexec,optional,create=dir 0 0"},
      {"lxc.cgroup.relative", plan.relative_cgroup ? "1" : "0"},
      {"lxc.cgroup.dir.container", cgroup + "machine"},
      {"lxc.cgroup.dir.monitor", cgroup + "monitor"},
      {"lxc.cgroup.dir.container.inner", "init"},
  };
  add_console(items, work_dir, plan.has_console);
  add_map(items, 'u', plan.uids);
  add_map(items, 'g', plan.gids);
  if (!plan.apparmor_profile.empty()) {
    items.emplace_back("lxc.apparmor.profile", plan.apparmor_profile);
  }
  if (plan.pids_max > 0) {
    const auto limit = std::to_string(plan.pids_max);
    items.emplace_back("lxc.cgroup.pids.max", limit);
    items.emplace_back("lxc.cgroup2.pids.max", limit);
  }
  add_network(items, spec);
  return items;
}

std::string veth_name(const std::string& machine) {
  return sdk::interface_name("vc", machine);
}

}  // namespace cloud::lxc
