// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloud {

/// What the caller can do to that process, with no more than its own rights: trace it, take its
/// descriptors, open what /proc has of it, join its namespaces, signal it. Each way that the kernel
/// lets it go, in words such as "trace it (PTRACE_SEIZE)"; nothing where all are refused or the
/// process has ended. A process that carries the caller's uid and is in another user namespace may
/// be signalled. Whoever could join a namespace has joined it, and is of no more use.
[[nodiscard]] std::vector<std::string> reach_of(pid_t pid);

}  // namespace cloud
