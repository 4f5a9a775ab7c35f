// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/unified_cgroup.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>

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

void enter_unified(const std::string& cgroup) {
  const auto path = kRoot + cgroup + "/cgroup.procs";
  const sdk::Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file || ::write(file.value(), "0", 1) != 1) {
    throw sdk::system_failure(CLOUD_E_NODE, "write " + path, errno);
  }
}

}  // namespace cloud::lxc
