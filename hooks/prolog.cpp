// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <exception>

#include "core/log.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/job_configuration.hpp"
#include "core/stage/unfinished_ends.hpp"
#include "hooks/hook_input.hpp"

int main(int argc, char** argv) {
  try {
    if (cloud::has_told_version(argc, argv)) return 0;
    cloud::close_inherited_files();
    cloud::log_as("prolog", 0);
    const auto file = cloud::config_file_from(argc, argv);
    if (!file) {
      cloud::log_line(cloud::LogLevel::error, file.error().message);
      return 2;
    }
    const auto input = cloud::hook_input();
    if (!input) {
      cloud::log_line(cloud::LogLevel::error, input.error().message);
      return 2;
    }
    cloud::log_as("prolog", input->job.job_id);
    const auto config = cloud::load_node_config(*file, input->job.node);
    // First of all: an address that is still taken may be the one that this job needs.
    cloud::finish_what_is_left(config, input->job.node, input->job.job_id);
    cloud::log_as("prolog", input->job.job_id);
    return cloud::run_prolog(config, *input);
  } catch (const std::exception& problem) {
    cloud::log_line(cloud::LogLevel::error, std::string{"internal error: "} + problem.what());
    // A bug of ours shall not drain the node.
    return 0;
  }
}
