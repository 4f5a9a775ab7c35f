// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <spank-cloud/backend.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <string>
#include <utility>
#include <vector>

namespace cloud::kvm {

struct VirtiofsOrder {
  std::string program;  ///< virtiofsd
  std::string socket;   ///< made here, for the machine's QEMU alone to connect to
  std::string log;      ///< what virtiofsd says
  int folder = -1;      ///< O_PATH, opened with the user's rights
  bool read_only = false;
};

/// Starts a virtiofsd that serves one folder with the rights of the job's user and no others: in a
/// user namespace where the user is themselves and all else is of the machine's own range. Returns
/// its process, a child of this one. Throws sdk::Failure.
[[nodiscard]] pid_t start_virtiofs_server(const VirtiofsOrder& order, const cloud_user& user,
                                          const sdk::UserNamespace& user_namespace);

/// The servers that this process has started. One ends by itself with the QEMU that has connected
/// to it; one that nobody has connected to waits for ever.
class VirtiofsServers {
 public:
  void add(std::string machine, pid_t pid) { servers_.emplace_back(std::move(machine), pid); }
  void end(const std::string& machine) noexcept;

 private:
  std::vector<std::pair<std::string, pid_t>> servers_;
};

}  // namespace cloud::kvm
