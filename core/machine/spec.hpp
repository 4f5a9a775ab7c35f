// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"

namespace cloud {

/// The C++ side of cloud_machine_spec (sdk/include/spank-cloud/backend_abi.h), owning its strings.
struct MachineImage {
  std::string name, path, format, init, initrd, cmdline;
  std::vector<BackendSetting> settings;  ///< keys of [image.NAME] that are the backend's
};

struct MachineUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string name, home, shell;
  std::vector<std::uint32_t> groups;     ///< supplementary, without gid
  std::vector<std::string> group_names;  ///< groups.size() + 1; the last is gid's
};

struct MachineNetwork {
  std::uint32_t prefix_length = 24;
  std::string bridge, mac, address, gateway;
  std::vector<std::string> dns;
  bool isolate = true;
};

/// OpenSSH keys of one machine, as ssh-keygen writes them.
struct MachineKeys {
  std::string authorized_key, host_key, host_key_public;
};

struct MachineMount {
  std::string source, target;
  bool read_only = false;
  int source_fd = -1;  ///< borrowed
};

struct MachineSpec {
  std::string name, hostname, work_dir, cgroup, cpus;
  std::uint64_t job_id = 0;
  std::uint32_t cpu_count = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t subid_first = 0;
  std::uint32_t subid_count = 65536;
  MachineImage image;
  MachineUser user;
  std::optional<MachineNetwork> network;
  std::vector<MachineMount> mounts;
  std::optional<MachineKeys> ssh;
  std::string user_data;
};

struct MachineRef {
  std::string name, work_dir, cgroup;
};

enum class MachineState { absent, prepared, starting, running, stopping };

struct MachineInfo {
  MachineState state = MachineState::absent;
  std::int64_t init_pid = 0;  ///< of a machine whose namespaces tasks enter
  std::int64_t main_pid = 0;  ///< whose end is the machine's end
  std::string detail;
};

}  // namespace cloud
