// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cloud {

/// Prints every mistake of the configuration, those of backends' own keys included. 0, or 1 where
/// there is one.
[[nodiscard]] int check_configuration(const std::string& file);

/// Lists the jobs that have a record on the node, with their machines and addresses.
[[nodiscard]] int show_status(const std::string& file, const std::string& node);

/// Prints how long each stage of a job took.
[[nodiscard]] int show_trace(const std::string& file, const std::string& node,
                             std::uint64_t job_id);

/// Cleans up after jobs that Slurm no longer runs on this node: of another boot, or without a
/// process of theirs in a control group. Meant for the node's start, before slurmd.
[[nodiscard]] int reconcile(const std::string& file, const std::string& node);

}  // namespace cloud
