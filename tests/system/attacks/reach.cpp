// SPDX-License-Identifier: Apache-2.0
//
// reach: run as a user who has jobs, tries in a loop all that one process can do to another, on
// every process of every machine that begins on this node from now on, until SIGTERM; then says how
// many it has tried. Prints "reached PID (COMMAND): WAY" for each success, once, and "ready" when
// it has begun.
#include "tools/backend_check/reach.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <utility>

#include "core/system/atomic_file.hpp"
#include "tools/backend_check/machine_processes.hpp"

namespace {

volatile sig_atomic_t is_over = 0;

std::string text_of(pid_t pid, const char* file) {
  const auto text = cloud::read_file("/proc/" + std::to_string(pid) + file);
  return text ? *text : std::string{};
}

// In a machine's groups, ".../cloud" below a step; or in a user namespace of its own, as tasks are
// that are in steps' groups.
bool is_of_a_machine(pid_t pid) {
  const auto groups = text_of(pid, "/cgroup");
  if (groups.find("/cloud/") != groups.npos || groups.find("/cloud\n") != groups.npos) return true;
  static const auto own_map = text_of(::getpid(), "/uid_map");
  const auto map = text_of(pid, "/uid_map");
  return !map.empty() && map != own_map;
}

std::string command_of(pid_t pid) {
  auto command = text_of(pid, "/cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command.substr(0, 80);
}

}  // namespace

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { is_over = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::setvbuf(stdout, nullptr, _IOLBF, 0);
  cloud::MachineProcesses machines{is_of_a_machine};
  std::set<pid_t> tried;
  std::set<std::pair<pid_t, std::string>> reached;
  std::printf("ready\n");
  while (is_over == 0) {
    for (const auto pid : machines.find()) {
      tried.insert(pid);
      for (const auto& way : cloud::reach_of(pid)) {
        if (!reached.emplace(pid, way).second) continue;
        std::printf("reached %d (%s): %s\n", pid, command_of(pid).c_str(), way.c_str());
      }
    }
  }
  std::printf("tried %zu processes\n", tried.size());
  return 0;
}
