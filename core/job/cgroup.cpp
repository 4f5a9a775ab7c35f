// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup.hpp"

#include <fcntl.h>
#include <libcgroup.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/job/cgroup_path.hpp"
#include "core/job/cgroup_tree.hpp"
#include "core/job/cgroup_value.hpp"
#include "core/job/record_store.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

Error libcgroup_error(const std::string& what, int code) {
  const auto* text = code == ECGOTHER ? "" : cgroup_strerror(code);
  if (code == ECGOTHER) return os_error(Blame::node, what, cgroup_get_last_errno());
  return {Blame::node, what + ": " + text};
}

Result<void> initialise_libcgroup(const CgroupHierarchies& hierarchies) {
  // It may be without a hierarchy that it knows, and then says no.
  if (is_unified(hierarchies)) return {};
  static const int code = cgroup_init();
  if (code != 0) return libcgroup_error("initialise libcgroup", code);
  return {};
}

using CgroupHandle = std::unique_ptr<struct cgroup, void (*)(struct cgroup*)>;

CgroupHandle new_cgroup(const std::string& path) {
  return {cgroup_new_cgroup(path.c_str() + (path.starts_with('/') ? 1 : 0)),
          [](struct cgroup* group) { cgroup_free(&group); }};
}

std::string first_line(const std::string& file) {
  const auto text = read_file(file, 1 << 20);
  return text ? text->substr(0, text->find('\n')) : std::string{};
}

// libcgroup knows no named hierarchies ("name=systemd"), and in v2 there is nothing for it to do:
// groups are folders, and what is in them is limited above.
bool is_libcgroups(const CgroupHierarchy& hierarchy) {
  return !hierarchy.is_v2() && !hierarchy.is_named();
}

// Of v1, where Slurm makes groups of its own.
bool is_slurms(const CgroupHierarchy& hierarchy) {
  for (const auto* name : {"freezer", "cpuset", "memory", "cpuacct", "devices"}) {
    if (hierarchy.has(name)) return true;
  }
  return false;
}

// One level of a group. libcgroup copies nothing from a parent, so a cpuset is filled here.
Result<void> create_level(const CgroupHierarchy& hierarchy, const std::string& path) {
  struct stat existing {};
  if (::stat((hierarchy.mount_point + path).c_str(), &existing) == 0) return {};
  if (!is_libcgroups(hierarchy)) {
    // liblxc's groups go there: their parents shall not vanish.
    const auto folder = hierarchy.mount_point + path;
    if (::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return os_error(Blame::node, "make cgroup " + folder, errno);
  }
  const auto group = new_cgroup(path);
  if (!group) return Error{Blame::node, "make cgroup " + path + ": out of memory"};
  for (const auto& name : hierarchy.controllers) {
    auto* controller = cgroup_add_controller(group.get(), name.c_str());
    if (controller == nullptr) return Error{Blame::node, "make cgroup " + path + " in " + name};
    if (name != "cpuset") continue;
    const auto parent = hierarchy.mount_point + path.substr(0, path.rfind('/'));
    for (const auto* file : {"cpuset.cpus", "cpuset.mems"}) {
      cgroup_add_value_string(controller, file, first_line(parent + "/" + file).c_str());
    }
  }
  const int code = cgroup_create_cgroup(group.get(), 1);
  // Another keeper of the same user may have made a shared parent in between.
  if (code != 0 && ::stat((hierarchy.mount_point + path).c_str(), &existing) != 0) {
    return libcgroup_error("make cgroup " + hierarchy.mount_point + path, code);
  }
  if (hierarchy.has("cpuset")) {
    // What liblxc makes below gets cpus and mems from the kernel: it fills its own first level
    // only.
    std::ofstream{hierarchy.mount_point + path + "/cgroup.clone_children"} << "1";
  }
  return {};
}

Result<void> enter_folder(const std::string& folder, pid_t pid) {
  if (write_cgroup_value(folder + "/cgroup.procs", std::to_string(pid))) return {};
  return os_error(Blame::node, "move process " + std::to_string(pid) + " into cgroup " + folder,
                  errno);
}

// Whether a line of /proc/PID/cgroup, "4:memory:/slurm/...", is of a hierarchy that is mounted.
bool is_mounted(const CgroupHierarchies& hierarchies, const std::string& controllers) {
  return std::any_of(hierarchies.begin(), hierarchies.end(),
                     [&](const CgroupHierarchy& one) { return one.names() == controllers; });
}

// Whether each thread's group is the one of that path in every hierarchy.
bool are_all_inside(const std::string& tasks, const std::string& path) {
  const auto hierarchies = cgroup_hierarchies();
  std::error_code problem;
  bool any = false;
  for (const auto& task : std::filesystem::directory_iterator{tasks, problem}) {
    std::ifstream file{task.path() / "cgroup"};
    for (std::string line; std::getline(file, line);) {
      const auto first = line.find(':');
      const auto second = line.find(':', first + 1);
      if (second == std::string::npos) return false;
      if (!is_mounted(hierarchies, line.substr(first + 1, second - first - 1))) continue;
      any = true;
      if (line.substr(second + 1) != path) return false;
    }
  }
  return any && !problem;
}

std::vector<std::string> levels_of(const std::string& path) {
  std::vector<std::string> levels;
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    levels.push_back(path.substr(0, end));
  }
  levels.push_back(path);
  return levels;
}

void remove_groups(const std::string& folder, std::chrono::steady_clock::time_point deadline,
                   std::vector<std::string>& stayed) {
  const auto remove = [&](const CgroupVisit& at) {
    if (::unlinkat(at.parent, at.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    stayed.push_back(folder + "/.../" + at.name);
  };
  if (!visit_cgroups(folder, remove, deadline)) stayed.push_back(folder);
}

// Slurm gives up at the first group that it cannot remove: a parent of ours, or a step's that had a
// process which only the machine's end has ended.
void remove_steps(const CgroupHierarchy& hierarchy, const std::string& path,
                  std::chrono::steady_clock::time_point deadline) {
  std::vector<std::string> still_used;
  remove_groups(hierarchy.mount_point + job_cgroup_path(path), deadline, still_used);
}

void remove_locked(const CgroupHierarchy& hierarchy, const std::string& path,
                   std::chrono::steady_clock::time_point deadline,
                   std::vector<std::string>& stayed) {
  const auto levels = levels_of(path);
  const auto root = hierarchy.mount_point + levels.front();
  // Slurm holds this lock while it makes a job's groups below a user's that may just be removed.
  const UniqueFd lock{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!lock) return;
  // Anybody can hold it, though, as anybody can read the folder: it is not waited for.
  const bool is_locked =
      lock_exclusively(lock.value(), root, std::chrono::milliseconds{0}).has_value();
  remove_groups(hierarchy.mount_point + path, deadline, stayed);
  remove_steps(hierarchy, path, deadline);
  // Without it, only what is the ended job's alone; the user's empty group is for the next hook
  // that ends a job of theirs.
  if (!is_locked) return;
  // Slurm's own root of the hierarchies that it manages is Slurm's to remove.
  const auto last = is_slurms(hierarchy) ? levels.rend() - 1 : levels.rend();
  for (auto level = levels.rbegin() + 1; level < last; ++level) {
    if (::rmdir((hierarchy.mount_point + *level).c_str()) != 0) break;
  }
}

// No group above the job's is shared with another job's beginning, so there is nothing to lock.
void remove_unlocked(const CgroupHierarchy& hierarchy, const std::string& path,
                     std::chrono::steady_clock::time_point deadline,
                     std::vector<std::string>& stayed) {
  remove_groups(hierarchy.mount_point + path, deadline, stayed);
  remove_steps(hierarchy, path, deadline);
}

}  // namespace

Result<void> create_cgroup(const std::string& path) {
  const auto hierarchies = cgroup_hierarchies();
  if (auto ready = initialise_libcgroup(hierarchies); !ready) return ready;
  // An epilog of the same user may remove an empty parent between two levels.
  constexpr int kAttempts = 5;
  for (const auto& hierarchy : hierarchies) {
    Result<void> made;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      made = {};
      for (const auto& level : levels_of(path)) {
        if (made) made = create_level(hierarchy, level);
      }
      if (made) break;
    }
    if (!made) return made;
  }
  return {};
}

void bound_groups_below(const std::string& path, unsigned most) {
  for (const auto& hierarchy : cgroup_hierarchies()) {
    if (!hierarchy.is_v2()) continue;
    write_cgroup_value(hierarchy.mount_point + path + "/cgroup.max.descendants",
                       std::to_string(most));
  }
}

Result<void> enter_cgroup(const std::string& path, pid_t pid) {
  const auto hierarchies = cgroup_hierarchies();
  if (is_unified(hierarchies)) {
    for (const auto& hierarchy : hierarchies) {
      if (hierarchy.is_v2()) return enter_folder(hierarchy.mount_point + path, pid);
    }
  }
  if (auto ready = initialise_libcgroup(hierarchies); !ready) return ready;
  const auto group = new_cgroup(path);
  if (!group) return Error{Blame::node, "enter cgroup " + path + ": out of memory"};
  for (const auto& hierarchy : hierarchies) {
    if (!is_libcgroups(hierarchy)) continue;
    for (const auto& name : hierarchy.controllers) cgroup_add_controller(group.get(), name.c_str());
  }
  const int code = cgroup_attach_task_pid(group.get(), pid);
  if (code != 0) return libcgroup_error("enter cgroup " + path, code);
  return {};
}

Result<void> enter_cgroup_with_threads(const std::string& path, pid_t pid) {
  // The kernel moves a process of v2 as a whole, out of whatever threaded groups it was spread
  // over.
  if (is_unified(cgroup_hierarchies())) return enter_cgroup(path, pid);
  constexpr int kRounds = 20;
  const auto tasks = "/proc/" + std::to_string(pid) + "/task";
  for (int round = 0; round < kRounds; ++round) {
    // v1 hierarchies move thread by thread in libcgroup's hands, as a daemon may have spread them
    // over groups of its own; the others take the whole process.
    for (const auto& hierarchy : cgroup_hierarchies()) {
      if (is_libcgroups(hierarchy)) continue;
      std::ofstream{hierarchy.mount_point + path + "/cgroup.procs"} << pid;
    }
    std::error_code problem;
    for (const auto& task : std::filesystem::directory_iterator{tasks, problem}) {
      pid_t thread = 0;
      const auto name = task.path().filename().string();
      std::from_chars(name.data(), name.data() + name.size(), thread);
      auto moved = enter_cgroup(path, thread);
      // It may have ended in between.
      if (!moved && std::filesystem::exists(task.path(), problem)) return moved;
    }
    if (problem) return Error{Blame::node, "process " + std::to_string(pid) + " has ended"};
    if (are_all_inside(tasks, path)) return {};
  }
  return Error{Blame::node, "the threads of process " + std::to_string(pid) +
                                " do not stay in the cgroup " + path};
}

std::vector<std::string> remove_job_cgroups(const std::string& path,
                                            std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::vector<std::string> stayed;
  const auto hierarchies = cgroup_hierarchies();
  const bool unified = is_unified(hierarchies);
  for (const auto& hierarchy : hierarchies) {
    if (unified && hierarchy.is_v2()) {
      remove_unlocked(hierarchy, path, deadline, stayed);
    } else {
      remove_locked(hierarchy, path, deadline, stayed);
    }
  }
  return stayed;
}

}  // namespace cloud
