// SPDX-License-Identifier: Apache-2.0
#include "tools/cloudctl.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>

#include "core/config/site_config.hpp"

namespace {

std::string short_hostname() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string name{host.data()};
  return name.substr(0, name.find('.'));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Looks after the machines of spank-cloud on this node"};
  app.set_version_flag("--version", CLOUD_VERSION);
  auto file = cloud::default_config_file();
  auto node = short_hostname();
  std::uint64_t job_id = 0;
  app.add_option("--config", file, "The configuration")->capture_default_str();
  app.add_option("--node", node, "This node's name in Slurm (SLURMD_NODENAME)")
      ->capture_default_str();
  app.require_subcommand(1);
  auto* check = app.add_subcommand("check", "Find every mistake of the configuration");
  auto* status = app.add_subcommand("status", "List the jobs that have a machine on this node");
  auto* trace = app.add_subcommand("trace", "Show where the time of a job's stages went");
  trace->add_option("job", job_id, "The job's id")->required();
  auto* reconcile = app.add_subcommand(
      "reconcile",
      "Clean up after jobs that no longer run here; for the node's start, before slurmd");
  CLI11_PARSE(app, argc, argv);
  try {
    if (check->parsed()) return cloud::check_configuration(file);
    if (status->parsed()) return cloud::show_status(file, node);
    if (trace->parsed()) return cloud::show_trace(file, node, job_id);
    if (reconcile->parsed()) return cloud::reconcile(file, node);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "cloudctl: internal error: %s\n", problem.what());
  }
  return 1;
}
