// SPDX-License-Identifier: Apache-2.0
#include "enter/inheritance.hpp"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/job/cgroup_hierarchy.hpp"
#include "core/system/unique_fd.hpp"
#include "core/system/write_all.hpp"

namespace cloud {
namespace {

constexpr std::size_t kCpuBytesMax = 8192;  ///< 65536 CPUs

std::string proc_file(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::string content_of(const std::string& path) {
  std::ifstream file{path};
  std::string text;
  // Not through an iterator, which throws where the process ends between open and read.
  std::getline(file, text, '\0');
  return text;
}

// Of /proc/PID/status: what is behind "Uid:" and so on.
std::string status_line(const std::string& status, const std::string& name) {
  std::istringstream lines{status};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":")) return line.substr(name.size() + 1);
  }
  return {};
}

std::vector<std::uint32_t> numbers_of(const std::string& text) {
  std::istringstream words{text};
  return {std::istream_iterator<std::uint32_t>{words}, {}};
}

// Of /proc/PID/limits, by resource: prlimit(2) of another's process takes CAP_SYS_RESOURCE, which
// root need not have.
std::vector<rlimit> limits_of(const std::string& text) {
  constexpr std::size_t kSoft = 26;
  constexpr std::size_t kHard = 47;
  const auto number = [](const std::string& column) {
    return column.starts_with("unlimited") ? RLIM_INFINITY
                                           : std::strtoull(column.c_str(), nullptr, 10);
  };
  std::vector<rlimit> limits;
  std::istringstream lines{text};
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line.size() > kHard) {
    limits.push_back({number(line.substr(kSoft)), number(line.substr(kHard))});
  }
  return limits;
}

// As far as it goes, where it is higher than ours and root may not raise them.
bool take_limit(__rlimit_resource resource, rlimit limit) {
  if (::setrlimit(resource, &limit) == 0) return true;
  rlimit ours{};
  if (errno != EPERM || ::getrlimit(resource, &ours) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, ours.rlim_max);
  limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
  return ::setrlimit(resource, &limit) == 0;
}

rlimit at_least_ours(rlimit limit) {
  rlimit ours{};
  ::getrlimit(RLIMIT_NOFILE, &ours);
  const auto most = std::max(limit.rlim_max, ours.rlim_max);
  return {most, most};
}

Result<void> enter_folder(const std::string& folder) {
  const auto path = folder + "/cgroup.procs";
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file || !write_all(file.value(), "0")) {
    return os_error(Blame::node, "move into control group " + folder, errno);
  }
  return {};
}

// Of a line of /proc/PID/cgroup: "4:cpu,cpuacct:/slurm_n1", "0::/system.slice".
const CgroupHierarchy* hierarchy_named(const CgroupHierarchies& hierarchies,
                                       const std::string& controllers) {
  const auto found =
      std::find_if(hierarchies.begin(), hierarchies.end(),
                   [&](const CgroupHierarchy& one) { return one.names() == controllers; });
  return found == hierarchies.end() ? nullptr : &*found;
}

}  // namespace

Result<Inheritance> inheritance_of(pid_t pid, uid_t uid) {
  Inheritance made;
  const auto status = content_of(proc_file(pid, "status"));
  const auto uids = numbers_of(status_line(status, "Uid"));
  const auto gids = numbers_of(status_line(status, "Gid"));
  if (uids.size() < 2 || gids.empty()) {
    return Error{Blame::node, "process " + std::to_string(pid) + " has ended"};
  }
  if (uids[0] != uid || uids[1] != uid) {
    return Error{Blame::user, "process " + std::to_string(pid) + " is not the job's user's"};
  }
  made.identity = {uid, gids.front(), numbers_of(status_line(status, "Groups"))};
  made.no_new_privileges = numbers_of(status_line(status, "NoNewPrivs")) == std::vector{1U};
  made.groups = content_of(proc_file(pid, "cgroup"));
  made.ignored_signals = std::strtoull(status_line(status, "SigIgn").c_str(), nullptr, 16);
  made.limits = limits_of(content_of(proc_file(pid, "limits")));
  if (made.limits.size() != RLIMIT_NLIMITS) {
    return Error{Blame::node, "the limits of process " + std::to_string(pid) + " cannot be read"};
  }
  made.nice = ::getpriority(PRIO_PROCESS, static_cast<id_t>(pid));
  made.scheduler = ::sched_getscheduler(pid);
  made.cpus.resize(kCpuBytesMax);
  const auto size = ::syscall(SYS_sched_getaffinity, pid, made.cpus.size(), made.cpus.data());
  made.cpus.resize(static_cast<std::size_t>(std::max(size, 0L)));
  made.io_priority = ::syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid);
  made.oom_score = content_of(proc_file(pid, "oom_score_adj"));
  made.personality = std::strtoul(content_of(proc_file(pid, "personality")).c_str(), nullptr, 16);
  return made;
}

Result<void> take_on(const Inheritance& inherited) {
  for (std::size_t resource = 0; resource < inherited.limits.size(); ++resource) {
    auto limit = inherited.limits[resource];
    // A process may have files open beyond a limit that came later: ours are placed first.
    if (resource == RLIMIT_NOFILE) limit = at_least_ours(limit);
    if (!take_limit(static_cast<__rlimit_resource>(resource), limit)) {
      return os_error(Blame::node, "take the task's limit " + std::to_string(resource), errno);
    }
  }
  if (inherited.scheduler == SCHED_BATCH || inherited.scheduler == SCHED_IDLE) {
    const sched_param none{};
    ::sched_setscheduler(0, inherited.scheduler, &none);
  }
  ::setpriority(PRIO_PROCESS, 0, inherited.nice);
  ::syscall(SYS_sched_setaffinity, 0, inherited.cpus.size(), inherited.cpus.data());
  if (inherited.io_priority > 0) {
    ::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, inherited.io_priority);
  }
  std::ofstream{"/proc/self/oom_score_adj"} << inherited.oom_score;
  ::personality(inherited.personality);
  if (inherited.no_new_privileges) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return {};
}

Result<void> join_groups(const std::string& groups) {
  const auto hierarchies = cgroup_hierarchies();
  std::istringstream lines{groups};
  bool any = false;
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto* hierarchy =
        hierarchy_named(hierarchies, line.substr(first + 1, second - first - 1));
    const bool limits = first + 1 < second && !line.substr(first + 1).starts_with("name=");
    if (hierarchy == nullptr && limits) {
      return Error{Blame::node, "the hierarchy of control groups of " + line + " is not mounted"};
    }
    if (hierarchy == nullptr) continue;
    if (auto moved = enter_folder(hierarchy->mount_point + line.substr(second + 1)); !moved) {
      return moved;
    }
    any = true;
  }
  if (!any) return Error{Blame::node, "the task's process is in no control group"};
  return {};
}

Result<void> join_group(const std::string& path) {
  for (const auto& hierarchy : cgroup_hierarchies()) {
    if (auto moved = enter_folder(hierarchy.mount_point + path); !moved) return moved;
  }
  return {};
}

}  // namespace cloud
