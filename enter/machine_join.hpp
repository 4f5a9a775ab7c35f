// SPDX-License-Identifier: Apache-2.0
//
// The way into a machine's namespaces, for root: they belong to nobody who could log in, and the
// kernel lets nobody else in.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "core/error.hpp"
#include "core/job/published_state.hpp"

namespace cloud {

/// Joins all namespaces of the machine, in which the job's uid must be itself and whose user
/// namespace must not be its user's. As root; afterwards the caller has every capability in the
/// machine and is still root of the node where files are concerned: drop_to() has to follow before
/// anything else is done. Children of the caller are processes of the machine.
[[nodiscard]] Result<void> join_machine(const PublishedState& state);

/// The ids that a task has on the node, and in the machine, too.
struct TaskIdentity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  ///< supplementary
};

/// Takes the group ids, which has to happen before join_machine(): a machine has no map for more
/// than some 330 groups, and the kernel takes no group there that it cannot name.
[[nodiscard]] Result<void> take_groups(const TaskIdentity& identity);

/// Leaves root's session keyring for an empty one, whose room is root's: a user has room for some
/// two hundred keys. Before take_groups().
[[nodiscard]] Result<void> leave_keyring();

/// Takes the uid and gives up every capability.
[[nodiscard]] Result<void> drop_to(const TaskIdentity& identity);

}  // namespace cloud
