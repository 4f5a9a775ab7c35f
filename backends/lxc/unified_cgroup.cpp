// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/unified_cgroup.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <fstream>

namespace cloud::lxc {
namespace {

// Where liblxc looks, too.
constexpr const char* kRoot = "/sys/fs/cgroup";

}  // namespace

std::optional<std::vector<std::string>> unified_controllers(const std::string& cgroup) {
  struct statfs mounted {};
  if (::statfs(kRoot, &mounted) != 0 || mounted.f_type != CGROUP2_SUPER_MAGIC) return std::nullopt;
  std::ifstream file{kRoot + cgroup + "/cgroup.controllers"};
  std::vector<std::string> names;
  for (std::string name; file >> name;) names.push_back(name);
  return names;
}

}  // namespace cloud::lxc
