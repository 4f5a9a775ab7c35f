// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloud {

/// A user namespace that a process is in, or that owns another namespace of the process.
struct NamespaceOwner {
  std::string of;  ///< "user", "mnt", ...: the first by which it was found
  uid_t uid = 0;   ///< who may enter it and trace whoever is in it
};

/// The owners of the user namespaces of the process and of its other namespaces, and of those that
/// these are in, up to the node's own, which is left out. Asked of the kernel by root; nothing
/// where the process has ended.
[[nodiscard]] std::vector<NamespaceOwner> namespace_owners(pid_t pid);

}  // namespace cloud
