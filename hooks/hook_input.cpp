// SPDX-License-Identifier: Apache-2.0
#include "hooks/hook_input.hpp"

#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

namespace cloud {
namespace {

volatile sig_atomic_t asked_to_end = 0;

void note_signal(int) {
  asked_to_end = 1;
}

}  // namespace

bool has_told_version(int argc, char** argv) {
  if (argc != 2 || std::string_view{argv[1]} != "--version") return false;
  std::puts(CLOUD_VERSION);
  return true;
}

Result<std::string> config_file_from(int argc, char** argv) {
  if (argc == 1) return default_config_file();
  if (argc == 3 && std::string_view{argv[1]} == "--config") return std::string{argv[2]};
  return Error{Blame::site, std::string{"usage: "} + argv[0] + " [--config FILE]"};
}

Result<HookInput> hook_input() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  HookInput input;
  input.lookup = environment_lookup();
  auto job = read_job_context(input.lookup);
  if (!job) return std::move(job).error();
  input.job = *std::move(job);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    input.environment.emplace_back(*variable);
  }
  input.cancelled = [] { return asked_to_end != 0; };
  return input;
}

void close_inherited_files() {
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
}

}  // namespace cloud
