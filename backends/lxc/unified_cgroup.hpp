// SPDX-License-Identifier: Apache-2.0
//
// The machine's control group on a node that has version 2 alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace cloud::lxc {

/// The controllers that the group's parent hands on to it; nullopt on a node with version 1.
[[nodiscard]] std::optional<std::vector<std::string>> unified_controllers(
    const std::string& cgroup);

}  // namespace cloud::lxc
