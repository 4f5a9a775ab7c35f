// SPDX-License-Identifier: Apache-2.0
//
// liblxc gives a machine's groups to the machine's root, in every hierarchy. Of a controller of
// cgroup v1 they stay root's: who owns a group can move others of their own processes there, out of
// their step's limits, and freeze them, so that Slurm cannot end the step and drains the node.
// What systemd in a machine needs is the hierarchy without a controller, and version 2, where the
// kernel asks for the right to the groups above as well.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "core/job/cgroup_hierarchy.hpp"

namespace {

constexpr long kCgroupV1 = 0x27e0eb;  // CGROUP_SUPER_MAGIC

std::vector<dev_t> devices_without_controller() {
  std::vector<dev_t> devices;
  for (const auto& hierarchy : cloud::cgroup_hierarchies()) {
    struct stat status {};
    if (!hierarchy.is_named() || ::stat(hierarchy.mount_point.c_str(), &status) != 0) continue;
    devices.push_back(status.st_dev);
  }
  return devices;
}

bool is_of_controller(int folder) {
  struct statfs system {};
  struct stat status {};
  if (folder < 0 || ::fstatfs(folder, &system) != 0 || system.f_type != kCgroupV1) return false;
  static const auto others = devices_without_controller();
  return ::fstat(folder, &status) == 0 && std::ranges::find(others, status.st_dev) == others.end();
}

}  // namespace

// In the place of libc's, which liblxc would call: the program's own symbols come first.
extern "C" __attribute__((visibility("default"))) int fchownat(int folder, const char* path,
                                                               uid_t owner, gid_t group,
                                                               int flags) noexcept;

int fchownat(int folder, const char* path, uid_t owner, gid_t group, int flags) noexcept {
  if (owner != 0 && is_of_controller(folder)) return 0;
  return static_cast<int>(::syscall(SYS_fchownat, folder, path, owner, group, flags));
}
