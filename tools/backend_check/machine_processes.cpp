// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/machine_processes.hpp"

#include <dirent.h>

#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include "core/system/atomic_file.hpp"
#include "tools/backend_check/process_tree.hpp"

namespace cloud {
namespace {

std::set<pid_t> all_pids() {
  std::set<pid_t> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder{::opendir("/proc"), ::closedir};
  if (!folder) return found;
  while (const auto* entry = ::readdir(folder.get())) {
    const std::string_view name{entry->d_name};
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size()) found.insert(pid);
  }
  return found;
}

// Whether a line of /proc/PID/cgroup names the group or one below it.
bool is_in_group(std::string_view text, const std::string& group) {
  for (auto at = text.find(":" + group); at != text.npos; at = text.find(":" + group, at + 1)) {
    const auto end = at + 1 + group.size();
    if (end == text.size() || text[end] == '\n' || text[end] == '/') return true;
  }
  return false;
}

}  // namespace

MachineProcesses::MachineProcesses(Belongs belongs)
    : belongs_{std::move(belongs)}, before_{all_pids()} {}

const std::set<pid_t>& MachineProcesses::find() {
  const auto there = all_pids();
  // A number that is free again may come to mean another process.
  std::erase_if(before_, [&](pid_t pid) { return !there.contains(pid); });
  std::erase_if(found_, [&](pid_t pid) { return !there.contains(pid); });
  for (const auto pid : there) {
    if (before_.contains(pid) || found_.contains(pid)) continue;
    if (found_.contains(parent_of(pid)) || belongs_(pid)) found_.insert(pid);
  }
  return found_;
}

bool is_of_machine(pid_t pid, const std::string& cgroup, const std::string& name) {
  const auto folder = "/proc/" + std::to_string(pid);
  const auto groups = read_file(folder + "/cgroup");
  if (groups && is_in_group(*groups, cgroup)) return true;
  const auto command = read_file(folder + "/cmdline");
  return command && command->find(name) != std::string::npos;
}

}  // namespace cloud
