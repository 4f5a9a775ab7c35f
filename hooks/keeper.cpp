// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <exception>
#include <map>
#include <string_view>

#include "core/job/job_context.hpp"
#include "core/log.hpp"
#include "core/system/program_folder.hpp"
#include "hooks/daemonize.hpp"
#include "hooks/hook_input.hpp"
#include "hooks/machine_keeper.hpp"

namespace {

using namespace cloud;

volatile sig_atomic_t asked_to_end = 0;

void note_signal(int) {
  asked_to_end = 1;
}

std::uint64_t number(const std::map<std::string, std::string>& options, const std::string& name) {
  const auto found = options.find(name);
  if (found == options.end()) return 0;
  std::uint64_t value = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

// The job's epilog never came: slurmd was killed, or the node's Epilog= was taken away.
[[noreturn]] void become_epilog(const std::string& config, const KeeperOrder& order,
                                MachineKeeper& keeper) {
  log_line(LogLevel::warn, "the job has ended and no epilog has come: cleaning up instead");
  if (auto left = keeper.leave_machine(); !left) {
    // `cloudctl reconcile` does it later, from a place where the user's folders are out of reach.
    log_line(LogLevel::error, left.error().message);
    ::_exit(1);
  }
  const std::string program = program_folder() + "/epilog";
  const auto job = "SLURM_JOB_ID=" + std::to_string(order.job_id);
  const auto node = "SLURMD_NODENAME=" + order.node;
  const auto uid = "SLURM_JOB_UID=" + std::to_string(keeper.uid());
  // A next run may have begun meanwhile: its machine is not ours to end.
  const auto run = "SLURM_JOB_RESTART_COUNT=" + std::to_string(keeper.restart_count());
  const char* argv[] = {program.c_str(), "--config", config.c_str(), nullptr};
  const char* environment[] = {job.c_str(), node.c_str(),
                               uid.c_str(), "SLURM_JOB_GID=0",
                               run.c_str(), "CLOUD_KEEPER_ORPHANED=1",
                               nullptr};
  ::execve(program.c_str(), const_cast<char**>(argv), const_cast<char**>(environment));
  log_line(LogLevel::error, "cannot run " + program);
  ::_exit(1);
}

int run_keeper(int argc, char** argv) {
  close_inherited_files();
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  KeeperOrder order{number(options, "--job"), options["--node"],
                    static_cast<std::int64_t>(number(options, "--stepd")),
                    number(options, "--memory-mb")};
  const auto config_file = options["--config"];
  log_as("keeper", order.job_id);
  if (argc % 2 == 0 || order.job_id == 0 || !is_node_name(order.node) || config_file.empty()) {
    log_line(LogLevel::error,
             "usage: keeper --config FILE --job ID --node NAME --stepd PID "
             "--memory-mb MB; it is started by the SPANK plugin");
    return 2;
  }
  const auto config = require_trusted_site_config(config_file);
  if (!config) {
    log_line(LogLevel::error, config.error().message);
    return 1;
  }
  struct sigaction action {};
  action.sa_handler = note_signal;
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  MachineKeeper keeper{*config, order, [] { return asked_to_end != 0; }};
  const RecordStore store{config->state_dir, order.node};
  daemonize(store.job_path(order.job_id) + "/keeper.log", [&] { return keeper.settle(); });
  keeper.keep();
  if (keeper.orphaned()) become_epilog(config_file, order, keeper);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (has_told_version(argc, argv)) return 0;
    return run_keeper(argc, argv);
  } catch (const std::exception& problem) {
    log_line(LogLevel::error, std::string{"internal error: "} + problem.what());
    return 1;
  }
}
