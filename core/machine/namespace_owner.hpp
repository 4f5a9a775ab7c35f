// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/error.hpp"

namespace cloud {

/// Whether nobody who can log in to the node owns the user namespace of a machine's process, one
/// that it lies in, or one that another of its namespaces was made in: the kernel says who does
/// (ioctl_ns(2)). Root does no harm. Blame::site where
/// the owner is `uid`, the job's user, or has an account, or the process is in the node's own user
/// namespace: the backend is at fault, and the message tells its author what to call.
[[nodiscard]] Result<void> require_no_owner(std::int64_t pid, std::uint32_t uid);

}  // namespace cloud
