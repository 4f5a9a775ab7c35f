// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/bind_mount.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>
#include <vector>

#include "backends/lxc/rootfs.hpp"

namespace cloud::lxc {
namespace {

using sdk::Failure;
using sdk::system_failure;

bool is_directory(int source, const std::string& what) {
  struct stat status {};
  if (::fstat(source, &status) != 0) throw system_failure(CLOUD_E_REQUEST, what, errno);
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Failure{CLOUD_E_REQUEST, what + ": only folders and regular files can be mounted"};
  }
  return S_ISDIR(status.st_mode);
}

void mount_tree(int source, int target, std::uint64_t attributes_set, const std::string& what) {
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
  if (::syscall(SYS_move_mount, tree.value(), "", target, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
}

std::string text_of(const cloud_mount& mount) {
  return "mount " + std::string{mount.source} + " at " + mount.target;
}

bool is_below(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// Only while nothing of the user's is mounted below the root does root make anything there.
void make_targets(int root, const cloud_machine_spec& spec) {
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    const std::string target = spec.mounts[i].target;
    bool is_nested = false;
    for (std::size_t j = 0; j < spec.mount_count; ++j) {
      is_nested = is_nested || is_below(target, spec.mounts[j].target);
    }
    const bool directory = is_directory(spec.mounts[i].source_fd, text_of(spec.mounts[i]));
    if (!is_nested) (void)make_in_root(root, target, directory, spec.subid_first);
  }
}

}  // namespace

void bind_mounts(int root, const cloud_machine_spec& spec) {
  make_targets(root, spec);
  std::vector<const cloud_mount*> order;
  for (std::size_t i = 0; i < spec.mount_count; ++i) order.push_back(&spec.mounts[i]);
  // A folder before what lies in it.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::strlen(a->target) < std::strlen(b->target);
  });
  for (const auto* mount : order) {
    const auto what = text_of(*mount);
    const Descriptor target{open_in_root(root, mount->target, O_PATH)};
    struct stat status {};
    if (!target || ::fstat(target.value(), &status) != 0) {
      throw Failure{CLOUD_E_REQUEST, what +
                                         ": it lies in another mount and does not exist there; "
                                         "make it first, or choose another place"};
    }
    const bool directory = is_directory(mount->source_fd, what);
    if (S_ISDIR(status.st_mode) != directory) {
      throw Failure{CLOUD_E_REQUEST, what + ": one is a folder and the other is a file"};
    }
    std::uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (mount->read_only != 0) attributes |= MOUNT_ATTR_RDONLY;
    mount_tree(mount->source_fd, target.value(), attributes, what);
  }
}

void bind_program(int root, const char* program, const char* target, std::uint32_t owner) {
  const auto what = std::string{"mount "} + program;
  const Descriptor source{::open(program, O_PATH | O_CLOEXEC)};
  if (!source) throw system_failure(CLOUD_E_NODE, std::string{"open "} + program, errno);
  const auto place = make_in_root(root, target, is_directory(source.value(), what), owner);
  mount_tree(source.value(), place.value(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, what);
}

}  // namespace cloud::lxc
