// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/bind_mount.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/image_file.hpp>
#include <spank-cloud/mount_tree.hpp>
#include <string>
#include <vector>

#include "backends/lxc/rootfs.hpp"

namespace cloud::lxc {
namespace {

using sdk::Failure;
using sdk::is_folder;
using sdk::mount_tree;
using sdk::open_in_root;
using sdk::system_failure;
using sdk::text_of;

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
    const bool directory = is_folder(spec.mounts[i].source_fd, text_of(spec.mounts[i]));
    if (!is_nested) (void)make_in_root(root, target, directory, spec.subid_first);
  }
}

}  // namespace

void bind_mounts(int root, const cloud_machine_spec& spec) {
  const auto order = sdk::mounts_in_order(spec);
  std::vector<Descriptor> trees;
  for (const auto* mount : order) trees.push_back(sdk::clone_mount(*mount));
  make_targets(root, spec);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto* mount = order[i];
    const auto what = text_of(*mount);
    const Descriptor target{open_in_root(root, mount->target, O_PATH)};
    struct stat status {};
    if (!target || ::fstat(target.value(), &status) != 0) {
      throw Failure{CLOUD_E_REQUEST, what +
                                         ": it lies in another mount and does not exist there; "
                                         "make it first, or choose another place"};
    }
    const bool directory = is_folder(mount->source_fd, what);
    if (S_ISDIR(status.st_mode) != directory) {
      throw Failure{CLOUD_E_REQUEST, what + ": one is a folder and the other is a file"};
    }
    sdk::attach_tree(trees[i], target.value(), what);
  }
}

void bind_program(int root, const char* program, const char* target, std::uint32_t owner) {
  const auto what = std::string{"mount "} + program;
  const Descriptor source{::open(program, O_PATH | O_CLOEXEC)};
  if (!source) throw system_failure(CLOUD_E_NODE, std::string{"open "} + program, errno);
  const auto place = make_in_root(root, target, is_folder(source.value(), what), owner);
  mount_tree(source.value(), place.value(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, what);
}

}  // namespace cloud::lxc
