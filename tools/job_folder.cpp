// SPDX-License-Identifier: Apache-2.0
#include "tools/job_folder.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/stage/job_configuration.hpp"
#include "core/system/harmless_text.hpp"

namespace cloud {

SiteConfig config_of_node(const NodeView& view) {
  auto loaded = load_node_config(view.config_file, view.node);
  static bool is_told = false;
  if (!loaded.report.empty() && !is_told) {
    std::fprintf(stderr, "cloudctl: the configuration is broken: %s; `cloudctl check` says all\n",
                 loaded.report.first_line().c_str());
    is_told = true;
  }
  return std::move(loaded.config);
}

Result<JobFolder> open_job_folder(const NodeView& view, std::uint64_t job_id) {
  // Also a configuration with mistakes says where the states are, and the machines run on.
  const auto config = config_of_node(view);
  const auto dir = published_dir(config.run_dir, view.node, job_id);
  auto state = read_published_state(dir);
  if (state) return JobFolder{dir, *std::move(state)};
  const auto job = "job " + std::to_string(job_id);
  if (state.error().os_errno == ENOENT) {
    return Error{Blame::user, job + " has no machine on node " + view.node + " now (nothing in " +
                                  dir +
                                  "): a job's is gone with it, and cloudctl looks at this node "
                                  "alone; squeue says on which a job is"};
  }
  if (state.error().os_errno == EACCES) {
    return Error{Blame::user, job + " is not yours: its user and root alone have access"};
  }
  return std::move(state).error().within(job);
}

std::string describe_phase(const PublishedState& state) {
  std::string text{to_string(state.phase)};
  const bool is_over = state.phase == MachinePhase::failed || state.phase == MachinePhase::ended;
  const auto& more = is_over ? state.reason : state.progress;
  return more.empty() ? text : text + ": " + harmless_line(more);
}

int refuse(const Error& error) {
  std::fprintf(stderr, "cloudctl: %s\n", harmless_line(error.message).c_str());
  return 1;
}

}  // namespace cloud
