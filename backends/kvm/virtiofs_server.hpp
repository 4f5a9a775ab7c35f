// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <spank-cloud/backend.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <string>

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

}  // namespace cloud::kvm
