// SPDX-License-Identifier: Apache-2.0
//
// The machine's control groups on a node with version 1.
#pragma once

#include <string>

namespace cloud::lxc {

/// Gives the groups that liblxc made for the machine back to root, in every hierarchy of version 1
/// that has a controller: whoever owns a group can move their own processes there, and freeze them.
/// An engine that starts machines has kept them root's already (hooks/keeper/cgroup_owner.cpp);
/// then nothing is done. Returns whether anything had to be.
bool take_back_groups(const std::string& cgroup);

}  // namespace cloud::lxc
