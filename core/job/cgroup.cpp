// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup.hpp"

#include <dirent.h>
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
#include <functional>
#include <memory>
#include <thread>

#include "core/job/record_store.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Error libcgroup_error(const std::string& what, int code) {
  const auto* text = code == ECGOTHER ? "" : cgroup_strerror(code);
  if (code == ECGOTHER) return os_error(Blame::node, what, cgroup_get_last_errno());
  return {Blame::node, what + ": " + text};
}

Result<void> initialise_libcgroup() {
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

// libcgroup knows neither named hierarchies ("name=systemd") nor a v2 one without controllers.
bool is_libcgroups(const CgroupHierarchy& hierarchy) {
  return !hierarchy.controllers.empty() && !hierarchy.controllers.front().starts_with("name=");
}

bool is_slurms(const CgroupHierarchy& hierarchy) {
  for (const auto* name : {"freezer", "cpuset", "memory", "cpuacct", "devices"}) {
    const auto& names = hierarchy.controllers;
    if (std::find(names.begin(), names.end(), name) != names.end()) return true;
  }
  return false;
}

void for_each_group(const std::string& folder,
                    const std::function<void(const std::string&)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open{::opendir(folder.c_str()), ::closedir};
  if (!open) return;
  while (const auto* entry = ::readdir(open.get())) {
    const std::string_view name{entry->d_name};
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    for_each_group(folder + "/" + std::string{name}, visit);
  }
  visit(folder);  // children before their parent
}

void add_processes(const std::string& folder, std::vector<pid_t>& found) {
  for_each_group(folder, [&](const std::string& group) {
    std::ifstream file{group + "/cgroup.procs"};
    for (pid_t pid = 0; file >> pid;) {
      // 0 is a process of another pid namespace: not ours to judge.
      if (pid > 0) found.push_back(pid);
    }
  });
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
  const auto& names = hierarchy.controllers;
  if (std::find(names.begin(), names.end(), "cpuset") != names.end()) {
    // What liblxc makes below gets cpus and mems from the kernel: it fills its own first level
    // only.
    std::ofstream{hierarchy.mount_point + path + "/cgroup.clone_children"} << "1";
  }
  return {};
}

// Whether a line of /proc/PID/cgroup, "4:memory:/slurm/...", is of a hierarchy that is mounted.
bool is_mounted(const std::vector<CgroupHierarchy>& hierarchies, const std::string& controllers) {
  return std::any_of(hierarchies.begin(), hierarchies.end(), [&](const CgroupHierarchy& one) {
    std::string names;
    for (const auto& name : one.controllers) names += (names.empty() ? "" : ",") + name;
    return names == controllers;
  });
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

}  // namespace

std::vector<CgroupHierarchy> cgroup_hierarchies() {
  std::vector<CgroupHierarchy> found;
  std::ifstream mounts{"/proc/self/mountinfo"};
  for (std::string line; std::getline(mounts, line);) {
    // 36 35 98:0 / /mount/point rw,noatime - cgroup cgroup rw,memory
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || std::distance(dash, fields.end()) < 4) continue;
    const auto& type = dash[1];
    if (type != "cgroup" && type != "cgroup2") continue;
    if (fields[3] != "/") continue;
    CgroupHierarchy hierarchy{fields[4], {}};
    const auto known = [&](const CgroupHierarchy& other) {
      return other.mount_point == hierarchy.mount_point;
    };
    if (std::any_of(found.begin(), found.end(), known)) continue;
    if (type == "cgroup") {
      for (const auto& option : split(dash[3], ',')) {
        const bool is_flag = option == "rw" || option == "ro" || option == "xattr" ||
                             option == "clone_children" || option == "noprefix" ||
                             option == "cpuset_v2_mode" || option.starts_with("release_agent=");
        if (!is_flag) hierarchy.controllers.push_back(option);
      }
      if (hierarchy.controllers.empty()) continue;
    }
    found.push_back(std::move(hierarchy));
  }
  return found;
}

Result<std::string> extern_step_path(std::string_view text, std::uint64_t job_id) {
  const auto wanted = "/job_" + std::to_string(job_id) + "/step_extern";
  for (const auto& line : split(text, '\n')) {
    const auto colon = line.find(':', line.find(':') + 1);
    if (colon == std::string::npos) continue;
    const auto path = line.substr(colon + 1);
    const auto at = path.find(wanted);
    if (at == std::string::npos) continue;
    const auto end = at + wanted.size();
    if (end == path.size() || path[end] == '/') return path.substr(0, end);
  }
  return Error{Blame::node, "no control group of the extern step of job " + std::to_string(job_id) +
                                ": ProctrackType=proctrack/cgroup, TaskPlugin=task/cgroup and "
                                "PrologFlags=Contain are needed in slurm.conf"};
}

std::string machine_cgroup_path(const std::string& extern_step) {
  for (const auto& hierarchy : cgroup_hierarchies()) {
    if (::access((hierarchy.mount_point + extern_step + "/task_0").c_str(), F_OK) == 0) {
      return extern_step + "/task_0/cloud";
    }
  }
  return extern_step + "/cloud";
}

std::string find_machine_cgroup(const std::string& node, std::optional<std::uint32_t> uid,
                                std::uint64_t job_id) {
  const auto job = "/job_" + std::to_string(job_id) + "/step_extern";
  const auto is_users = [&](const std::string& name) {
    return uid ? name == "uid_" + std::to_string(*uid) : name.starts_with("uid_");
  };
  for (const auto& hierarchy : cgroup_hierarchies()) {
    // The second where a host has more than one slurmd.
    for (const auto& slurm : {std::string{"/slurm"}, "/slurm_" + node}) {
      std::error_code problem;
      for (const auto& user :
           std::filesystem::directory_iterator{hierarchy.mount_point + slurm, problem}) {
        const auto name = user.path().filename().string();
        if (!is_users(name)) continue;
        for (const auto* below : {"/task_0/cloud", "/cloud"}) {
          auto path = slurm + "/" + name + job + below;
          if (::access((hierarchy.mount_point + path).c_str(), F_OK) == 0) return path;
        }
      }
    }
  }
  return {};
}

Result<void> create_cgroup(const std::string& path) {
  if (auto ready = initialise_libcgroup(); !ready) return ready;
  // An epilog of the same user may remove an empty parent between two levels.
  constexpr int kAttempts = 5;
  for (const auto& hierarchy : cgroup_hierarchies()) {
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

Result<void> enter_cgroup(const std::string& path, pid_t pid) {
  if (auto ready = initialise_libcgroup(); !ready) return ready;
  const auto group = new_cgroup(path);
  if (!group) return Error{Blame::node, "enter cgroup " + path + ": out of memory"};
  for (const auto& hierarchy : cgroup_hierarchies()) {
    if (!is_libcgroups(hierarchy)) continue;
    for (const auto& name : hierarchy.controllers) cgroup_add_controller(group.get(), name.c_str());
  }
  const int code = cgroup_attach_task_pid(group.get(), pid);
  if (code != 0) return libcgroup_error("enter cgroup " + path, code);
  return {};
}

Result<void> enter_cgroup_with_threads(const std::string& path, pid_t pid) {
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

std::vector<pid_t> cgroup_processes(const std::string& path) {
  std::vector<pid_t> found;
  for (const auto& hierarchy : cgroup_hierarchies()) {
    add_processes(hierarchy.mount_point + path, found);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<void> kill_cgroup(const std::string& path, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    for (const auto& hierarchy : cgroup_hierarchies()) {
      const auto& names = hierarchy.controllers;
      if (std::find(names.begin(), names.end(), "freezer") == names.end()) continue;
      for_each_group(hierarchy.mount_point + path, [](const std::string& group) {
        std::ofstream{group + "/freezer.state"} << "THAWED";
      });
    }
    const auto processes = cgroup_processes(path);
    if (processes.empty()) return {};
    for (const auto pid : processes) {
      if (pid != ::getpid()) ::kill(pid, SIGKILL);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{Blame::node, std::to_string(processes.size()) + " processes of cgroup " + path +
                                    " do not die, the first is " +
                                    std::to_string(processes.front())};
    }
    std::this_thread::sleep_for(5ms);
  }
}

std::vector<std::string> remove_job_cgroups(const std::string& path) {
  std::vector<std::string> stayed;
  const auto levels = levels_of(path);
  for (const auto& hierarchy : cgroup_hierarchies()) {
    const auto root = hierarchy.mount_point + levels.front();
    // Slurm holds this lock while it makes a job's groups below a user's that may just be removed.
    const UniqueFd lock{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!lock) continue;
    if (!lock_exclusively(lock.value(), root, 5s)) continue;
    for_each_group(hierarchy.mount_point + path, [&](const std::string& group) {
      if (::rmdir(group.c_str()) != 0 && errno != ENOENT) stayed.push_back(group);
    });
    // Slurm's own root of the hierarchies that it manages is Slurm's to remove.
    const auto last = is_slurms(hierarchy) ? levels.rend() - 1 : levels.rend();
    for (auto level = levels.rbegin() + 1; level < last; ++level) {
      if (::rmdir((hierarchy.mount_point + *level).c_str()) != 0) break;
    }
  }
  return stayed;
}

Result<std::string> cgroup_value(std::string_view controller, const std::string& path,
                                 std::string_view file) {
  for (const auto& hierarchy : cgroup_hierarchies()) {
    const auto& names = hierarchy.controllers;
    if (std::find(names.begin(), names.end(), controller) == names.end()) continue;
    auto text = read_file(hierarchy.mount_point + path + "/" + std::string{file}, 1 << 16);
    if (!text) return std::move(text).error();
    return text->substr(0, text->find('\n'));
  }
  return Error{Blame::node, "no cgroup controller '" + std::string{controller} + "' is mounted"};
}

std::uint32_t count_cpu_list(std::string_view list) {
  std::uint32_t count = 0;
  for (const auto& part : split(list, ',')) {
    std::uint32_t first = 0;
    const char* end = part.data() + part.size();
    const auto [after, failure] = std::from_chars(part.data(), end, first);
    if (failure != std::errc{}) continue;
    std::uint32_t last = first;
    if (after != end && *after == '-') std::from_chars(after + 1, end, last);
    if (last >= first) count += last - first + 1;
  }
  return count;
}

}  // namespace cloud
