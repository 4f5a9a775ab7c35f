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
    cloud::log_as("epilog", 0);
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
    cloud::log_as("epilog", input->job.job_id);
    auto config = cloud::load_node_config(*file, input->job.node);
    // Set by a keeper that no epilog has come for.
    if (input->lookup("CLOUD_KEEPER_ORPHANED"))
      config = cloud::without_site_programs(std::move(config));
    const int status = cloud::run_epilog(config, *input);
    cloud::finish_what_is_left(config, input->job.node, input->job.job_id);
    return status;
  } catch (const std::exception& problem) {
    cloud::log_line(cloud::LogLevel::error, std::string{"internal error: "} + problem.what());
    // A bug of ours shall not drain the node.
    return 0;
  }
}
