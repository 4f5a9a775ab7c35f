// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cloud {

/// The C++ side of cloud_machine_spec (sdk/include/spank-cloud/backend_abi.h), owning its strings.
struct MachineImage {
  std::string name, path, format, init;
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
};

struct MachineRef {
  std::string name, work_dir, cgroup;
};

enum class MachineState { absent, prepared, starting, running, stopping };

struct MachineInfo {
  MachineState state = MachineState::absent;
  std::int64_t init_pid = 0;
  std::string detail;
};

}  // namespace cloud
