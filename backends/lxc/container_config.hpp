// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>
#include <spank-cloud/id_map.hpp>
#include <string>
#include <utility>
#include <vector>

namespace cloud::lxc {

using sdk::IdRange;

/// What a container's configuration depends on besides the specification.
struct ContainerPlan {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  std::string user_namespace;  ///< "/proc/PID/ns/user"
  std::string init;            ///< absolute path in the machine
  bool systemd = false;
  bool has_console = true;  ///< and systemd a terminal
  std::int64_t pids_max = 0;
  /// v2: liblxc starts from the group of its caller, which is the machine's, and not from the root.
  bool relative_cgroup = false;
  std::string log_level;
  std::string apparmor_profile;  ///< "" on a node without AppArmor
};

/// lxc.container.conf(5) keys and values in order, for set_config_item(). Pure: no value comes from
/// what a user has typed.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> container_config(
    const cloud_machine_spec& spec, const ContainerPlan& plan);

/// The machine's end of its network before liblxc has moved it there.
inline constexpr const char* kMachinesEnd = "eth0";

/// The host side of the machine's network, at most 15 bytes: "vc" and a hash of the machine's name.
[[nodiscard]] std::string veth_name(const std::string& machine);

}  // namespace cloud::lxc
