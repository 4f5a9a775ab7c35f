// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/published_state.hpp"

namespace cloud {

/// Which jobs a command of cloudctl is about.
struct NodeView {
  std::string config_file;
  std::string node;
};

/// What a job's user may know of its machine on this node.
struct JobFolder {
  std::string dir;  ///< of the published state
  PublishedState state;
};

/// The configuration as far as it can be read; where it has mistakes, stderr says so, once.
[[nodiscard]] SiteConfig config_of_node(const NodeView& view);

/// The error says which of these it is: no such job on this node, somebody else's job, or a state
/// that cannot be read.
[[nodiscard]] Result<JobFolder> open_job_folder(const NodeView& view, std::uint64_t job_id);

/// "booting: systemd is starting services": how far the machine is, for messages.
[[nodiscard]] std::string describe_phase(const PublishedState& state);

/// Prints the error's message on stderr; the exit status of a command that failed.
[[nodiscard]] int refuse(const Error& error);

}  // namespace cloud
