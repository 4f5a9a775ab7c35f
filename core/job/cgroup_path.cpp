// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup_path.hpp"

#include <unistd.h>

#include <filesystem>

#include "core/job/text_split.hpp"

namespace cloud {
namespace {

constexpr std::string_view kExternStep = "/step_extern";
// Below the extern step, the one that is wanted first.
constexpr std::string_view kParents[] = {"/user/task_0", "/task_0", "/user", ""};

bool exists(const CgroupHierarchies& hierarchies, const std::string& path) {
  for (const auto& hierarchy : hierarchies) {
    if (::access((hierarchy.mount_point + path).c_str(), F_OK) == 0) return true;
  }
  return false;
}

// Slurm's own groups in which a job's may be. A Slurm that was built for one slurmd a host has no
// node name in them: where the node has its own, the other is another Slurm's, whose jobs have the
// same numbers.
std::vector<std::string> slurm_roots(const CgroupHierarchy& hierarchy, const std::string& node) {
  const std::string alone =
      hierarchy.is_v2() ? "/system.slice/slurmstepd.scope" : std::string{"/slurm"};
  const auto own =
      hierarchy.is_v2() ? "/system.slice/" + node + "_slurmstepd.scope" : "/slurm_" + node;
  if (exists({hierarchy}, own)) return {own};
  return {alone};
}

// The users' groups below one of those, which v2 does not have.
std::vector<std::string> user_groups(const CgroupHierarchy& hierarchy, const std::string& root,
                                     std::optional<std::uint32_t> uid) {
  if (hierarchy.is_v2()) return {root};
  if (uid) return {root + "/uid_" + std::to_string(*uid)};
  std::vector<std::string> found;
  std::error_code problem;
  for (const auto& entry :
       std::filesystem::directory_iterator{hierarchy.mount_point + root, problem}) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("uid_")) found.push_back(root + "/" + name);
  }
  return found;
}

}  // namespace

Result<std::string> extern_step_path(std::string_view text, std::uint64_t job_id) {
  const auto wanted = "/job_" + std::to_string(job_id) + std::string{kExternStep};
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

std::string job_cgroup_path(const std::string& path) {
  return path.substr(0, path.find(kExternStep));
}

std::string machine_cgroup_path(const std::string& extern_step,
                                const CgroupHierarchies& hierarchies) {
  for (const auto parent : kParents) {
    const auto path = extern_step + std::string{parent};
    if (exists(hierarchies, path)) return path + "/cloud";
  }
  return extern_step + "/cloud";
}

std::string find_job_cgroup(const std::string& node, std::uint64_t job_id,
                            const CgroupHierarchies& hierarchies) {
  for (const auto& hierarchy : hierarchies) {
    for (const auto& root : slurm_roots(hierarchy, node)) {
      for (const auto& group : user_groups(hierarchy, root, std::nullopt)) {
        auto path = group + "/job_" + std::to_string(job_id);
        if (exists({hierarchy}, path)) return path;
      }
    }
  }
  return {};
}

std::string find_machine_cgroup(const std::string& node, std::optional<std::uint32_t> uid,
                                std::uint64_t job_id, const CgroupHierarchies& hierarchies) {
  const auto step = "/job_" + std::to_string(job_id) + std::string{kExternStep};
  for (const auto& hierarchy : hierarchies) {
    for (const auto& root : slurm_roots(hierarchy, node)) {
      for (const auto& group : user_groups(hierarchy, root, uid)) {
        for (const auto parent : kParents) {
          auto path = group + step + std::string{parent} + "/cloud";
          if (exists({hierarchy}, path)) return path;
        }
      }
    }
  }
  return {};
}

}  // namespace cloud
