// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/init_process.hpp"

#include <signal.h>

#include <fstream>
#include <spank-cloud/bounded_call.hpp>

namespace cloud::lxc {
namespace {

constexpr std::int64_t kKillSeconds = 3;

pid_t child_of(pid_t parent) {
  const auto process = std::to_string(parent);
  std::ifstream file{"/proc/" + process + "/task/" + process + "/children"};
  pid_t child = 0;
  file >> child;
  return child;
}

}  // namespace

sdk::Process find_init(const std::string& cgroup) {
  if (cgroup.empty()) return {};
  for (const auto monitor : sdk::processes_of(cgroup + "/monitor")) {
    const auto child = child_of(monitor);
    if (child == 0) continue;
    auto init = sdk::open_process(child, [&](pid_t pid) { return child_of(monitor) == pid; });
    // It may have ended, and its monitor not have waited for it yet.
    if (!sdk::is_over(init)) return init;
  }
  return {};
}

void end_machine(const std::string& name, const std::string& cgroup, const sdk::Host& host) {
  if (cgroup.empty()) return;
  const auto deadline = sdk::in_seconds(kKillSeconds);
  const auto init = find_init(cgroup);
  if (!sdk::end_process(init, SIGKILL, deadline, host)) {
    throw sdk::Failure{CLOUD_E_NODE, "the init, process " + std::to_string(init.pid) +
                                         ", of machine '" + name + "' does not die"};
  }
  // A child that the monitor has made by now dies with it.
  for (const auto* group : {"", "/monitor"}) sdk::kill_processes(cgroup + group, deadline, host);
}

}  // namespace cloud::lxc
