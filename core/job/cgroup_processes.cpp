// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup_processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>
#include <utility>

#include "core/job/cgroup_hierarchy.hpp"
#include "core/job/cgroup_tree.hpp"
#include "core/job/cgroup_value.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Deadline = std::chrono::steady_clock::time_point;

struct FoundProcesses {
  std::vector<pid_t> pids;  ///< sorted, each once
  bool all = true;          ///< false where a group could not be looked into

  [[nodiscard]] bool has(pid_t pid) const {
    return std::binary_search(pids.begin(), pids.end(), pid);
  }
};

// Returns whether every group below was seen.
bool add_processes(const std::string& folder, std::vector<pid_t>& found, Deadline deadline) {
  bool readable = true;
  const auto add = [&](const CgroupVisit& at) {
    const UniqueFd procs{::openat(at.group, "cgroup.procs", O_RDONLY | O_CLOEXEC)};
    std::ifstream file{"/proc/self/fd/" + std::to_string(procs.value())};
    readable = readable && procs && file;
    for (pid_t pid = 0; file >> pid;) {
      // 0 is a process of another pid namespace: not ours to judge.
      if (pid > 0) found.push_back(pid);
    }
  };
  const bool all = visit_cgroups(folder, add, deadline);
  return all && readable;
}

FoundProcesses find_processes(const std::string& path, Deadline deadline) {
  FoundProcesses found;
  for (const auto& hierarchy : cgroup_hierarchies()) {
    found.all = add_processes(hierarchy.mount_point + path, found.pids, deadline) && found.all;
  }
  std::sort(found.pids.begin(), found.pids.end());
  found.pids.erase(std::unique(found.pids.begin(), found.pids.end()), found.pids.end());
  return found;
}

// Always the group that we have frozen; the machine's root may have frozen others below.
void thaw(const CgroupHierarchy& hierarchy, const std::string& path, Deadline deadline) {
  if (!hierarchy.is_v2() && !hierarchy.has("freezer")) return;
  const std::string file = hierarchy.is_v2() ? "cgroup.freeze" : "freezer.state";
  const std::string value = hierarchy.is_v2() ? "0" : "THAWED";
  write_cgroup_value(hierarchy.mount_point + path + "/" + file, value);
  const auto thaw_one = [&](const CgroupVisit& at) {
    write_cgroup_value(UniqueFd{::openat(at.group, file.c_str(), O_WRONLY | O_CLOEXEC)}, value);
  };
  // What was missed is seen in the next round of killing.
  [[maybe_unused]] const bool all = visit_cgroups(hierarchy.mount_point + path, thaw_one, deadline);
}

// v1 has no call that ends a group: what stands still cannot fork between being read and killed.
void freeze(const CgroupHierarchy& hierarchy, const std::string& path) {
  constexpr int kPolls = 100;
  if (hierarchy.is_v2() || !hierarchy.has("freezer")) return;
  const auto file = hierarchy.mount_point + path + "/freezer.state";
  if (!write_cgroup_value(file, "FROZEN")) return;
  for (int poll = 0; poll < kPolls; ++poll) {
    const auto state = read_file(file, 64);
    // One in an uninterruptible sleep holds it up, and cannot fork either.
    if (!state || state->starts_with("FROZEN")) return;
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

std::vector<pid_t> cgroup_processes(const std::string& path, Deadline deadline) {
  return find_processes(path, deadline).pids;
}

namespace {

// By descriptors, each opened before the group is read anew: a number in the first reading may be a
// stranger's by now, one in both is a process of the group's. In portions, as a process has fewer
// descriptors than a machine may have processes.
void kill_each(const std::string& path, const std::vector<pid_t>& pids, Deadline deadline) {
  constexpr std::size_t kPortion = 200;
  for (std::size_t begin = 0; begin < pids.size(); begin += kPortion) {
    std::vector<std::pair<pid_t, UniqueFd>> opened;
    for (std::size_t i = begin; i < std::min(pids.size(), begin + kPortion); ++i) {
      if (pids[i] == ::getpid()) continue;
      UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pids[i], 0))};
      if (process) opened.emplace_back(pids[i], std::move(process));
    }
    const auto now = find_processes(path, deadline);
    for (const auto& [pid, process] : opened) {
      if (!now.has(pid)) continue;
      ::syscall(SYS_pidfd_send_signal, process.value(), SIGKILL, nullptr, 0);
    }
  }
}

}  // namespace

Result<void> kill_cgroup(const std::string& path, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  // The last round is told of what is left, where the groups can be looked into in a moment.
  const auto walks_end = deadline + 500ms;
  for (;;) {
    const auto hierarchies = cgroup_hierarchies();
    auto found = find_processes(path, walks_end);
    if (found.pids.empty() && found.all) return {};
    const bool is_inside = found.has(::getpid());
    if (!is_inside) {
      for (const auto& hierarchy : hierarchies) freeze(hierarchy, path);
      found = find_processes(path, walks_end);
    }
    for (const auto& hierarchy : hierarchies) {
      if (!hierarchy.is_v2() || is_inside) continue;
      write_cgroup_value(hierarchy.mount_point + path + "/cgroup.kill", "1");
    }
    kill_each(path, found.pids, walks_end);
    for (const auto& hierarchy : hierarchies) thaw(hierarchy, path, walks_end);
    if (std::chrono::steady_clock::now() >= deadline) {
      if (found.pids.empty()) {
        return Error{Blame::node, "the groups of cgroup " + path + " cannot all be looked into"};
      }
      return Error{Blame::node, std::to_string(found.pids.size()) + " processes of cgroup " + path +
                                    " do not die, the first is " +
                                    std::to_string(found.pids.front())};
    }
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace cloud
