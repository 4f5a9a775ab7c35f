// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/bind_mount.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <string>

#include "backends/lxc/descriptor.hpp"
#include "backends/lxc/rootfs.hpp"

namespace cloud::lxc {
namespace {

using sdk::Failure;
using sdk::system_failure;

void mount_tree(int source, int root, const std::string& target, std::uint64_t attributes_set,
                const std::string& what, std::uint32_t owner) {
  struct stat status {};
  if (::fstat(source, &status) != 0) throw system_failure(CLOUD_E_REQUEST, what, errno);
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Failure{CLOUD_E_REQUEST, what + ": only folders and regular files can be mounted"};
  }
  const Descriptor tree{static_cast<int>(
      ::syscall(SYS_open_tree, source, "",
                AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (!tree) throw system_failure(CLOUD_E_NODE, what, errno);
  mount_attr attributes{};
  attributes.attr_set = attributes_set;
  if (::syscall(SYS_mount_setattr, tree.value(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                sizeof attributes) != 0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
  const auto place = make_in_root(root, target, S_ISDIR(status.st_mode), owner);
  if (::syscall(SYS_move_mount, tree.value(), "", place.value(), "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
}

}  // namespace

void bind_mount(int root, const cloud_mount& mount, std::uint32_t owner) {
  std::uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (mount.read_only != 0) attributes |= MOUNT_ATTR_RDONLY;
  const auto what = "mount " + std::string{mount.source} + " at " + mount.target;
  mount_tree(mount.source_fd, root, mount.target, attributes, what, owner);
}

void bind_program(int root, const char* program, const char* target, std::uint32_t owner) {
  const Descriptor source{::open(program, O_PATH | O_CLOEXEC)};
  if (!source) throw system_failure(CLOUD_E_NODE, std::string{"open "} + program, errno);
  mount_tree(source.value(), root, target, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
             std::string{"mount "} + program, owner);
}

}  // namespace cloud::lxc
