// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/legacy_cgroups.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace cloud::lxc {
namespace {

// "34 30 0:29 / /sys/fs/cgroup/freezer rw,nosuid shared:9 - cgroup cgroup rw,freezer"
std::vector<std::string> hierarchies_with_a_controller() {
  std::vector<std::string> found;
  std::ifstream mounts{"/proc/self/mountinfo"};
  for (std::string line; std::getline(mounts, line);) {
    const auto dash = line.find(" - cgroup ");
    if (dash == std::string::npos || line.find("name=", dash) != std::string::npos) continue;
    std::istringstream words{line};
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    found.push_back(word);
  }
  return found;
}

}  // namespace

bool take_back_groups(const std::string& cgroup) {
  bool any = false;
  for (const auto& root : hierarchies_with_a_controller()) {
    for (const auto* group : {"/machine", "/machine/init"}) {
      const auto folder = root + cgroup + group;
      struct stat status {};
      if (::lstat(folder.c_str(), &status) != 0) continue;
      // liblxc gives them to its root by their group.
      if (status.st_uid == 0 && status.st_gid == 0) continue;
      any = true;
      for (const auto& [file, mode] : {std::pair<std::string, mode_t>{folder, 0755},
                                       {folder + "/cgroup.procs", 0644},
                                       {folder + "/tasks", 0644}}) {
        // What is not there is nobody's.
        [[maybe_unused]] const bool taken =
            ::chown(file.c_str(), 0, 0) == 0 && ::chmod(file.c_str(), mode) == 0;
      }
    }
  }
  return any;
}

}  // namespace cloud::lxc
