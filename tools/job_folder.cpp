// SPDX-License-Identifier: Apache-2.0
#include "tools/job_folder.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/config/site_config.hpp"

namespace cloud {

Result<JobFolder> open_job_folder(const NodeView& view, std::uint64_t job_id) {
  // Also a configuration with mistakes says where the states are, and the machines run on.
  const auto config = load_site_config(view.config_file).config;
  const auto dir = published_dir(config.run_dir, view.node, job_id);
  auto state = read_published_state(dir);
  if (state) return JobFolder{dir, *std::move(state)};
  const auto job = "job " + std::to_string(job_id);
  if (state.error().os_errno == ENOENT) {
    return Error{Blame::user, job + " has no machine on node " + view.node + " (nothing in " + dir +
                                  "): run cloudctl on a node of the job, squeue says which"};
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
  return more.empty() ? text : text + ": " + more;
}

int refuse(const Error& error) {
  std::fprintf(stderr, "cloudctl: %s\n", error.message.c_str());
  return 1;
}

}  // namespace cloud
