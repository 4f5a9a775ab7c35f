// SPDX-License-Identifier: Apache-2.0
//
// The mounts of a machine. start() is called in a mount namespace that is the machine's own, so
// what is mounted there goes when the last process of it ends.
#ifndef SPANK_CLOUD_MOUNT_TREE_HPP
#define SPANK_CLOUD_MOUNT_TREE_HPP

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>
#include <vector>

namespace cloud {
namespace sdk {

/// "mount /home/ann at /data", for messages.
[[nodiscard]] inline std::string text_of(const cloud_mount& mount) {
  return "mount " + std::string{mount.source} + " at " + mount.target;
}

/// A folder comes before what lies in it.
[[nodiscard]] inline std::vector<const cloud_mount*> mounts_in_order(
    const cloud_machine_spec& spec) {
  std::vector<const cloud_mount*> order;
  for (std::size_t i = 0; i < spec.mount_count; ++i) order.push_back(&spec.mounts[i]);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::strlen(a->target) < std::strlen(b->target);
  });
  return order;
}

/// Whether it is a folder; CLOUD_E_REQUEST where it is neither that nor a regular file.
[[nodiscard]] inline bool is_folder(int fd, const std::string& what) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw system_failure(CLOUD_E_REQUEST, what, errno);
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Failure{CLOUD_E_REQUEST, what + ": only folders and regular files can be mounted"};
  }
  return S_ISDIR(status.st_mode);
}

/// A copy of what the descriptor `source` stands for, with what is mounted below it, to be mounted.
/// It is private: what the host mounts later does not appear in it, where it would come without the
/// attributes, and a machine that mounts below it uses up nothing of the host's. `attributes`:
/// MOUNT_ATTR_*. Throws CLOUD_E_NODE; `what` begins the message.
[[nodiscard]] inline Descriptor clone_tree(int source, std::uint64_t attributes,
                                           const std::string& what) {
  constexpr unsigned kAll = AT_EMPTY_PATH | AT_RECURSIVE;
  Descriptor tree{static_cast<int>(
      ::syscall(SYS_open_tree, source, "", kAll | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (!tree) throw system_failure(CLOUD_E_NODE, what, errno);
  mount_attr wanted{};
  wanted.attr_set = attributes;
  wanted.propagation = MS_PRIVATE;
  if (::syscall(SYS_mount_setattr, tree.value(), "", kAll, &wanted, sizeof wanted) != 0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
  return tree;
}

/// Mounts such a copy on what `target` stands for. Throws CLOUD_E_NODE.
inline void attach_tree(const Descriptor& tree, int target, const std::string& what) {
  if (::syscall(SYS_move_mount, tree.value(), "", target, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
}

/// Both at once. Where there is more than one mount, all are copied before the first is attached:
/// the copy of a folder would have the others in it.
inline void mount_tree(int source, int target, std::uint64_t attributes, const std::string& what) {
  attach_tree(clone_tree(source, attributes, what), target, what);
}

/// What a user's folder is copied as: without set-uid programs and devices.
[[nodiscard]] inline Descriptor clone_mount(const cloud_mount& mount) {
  std::uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (mount.read_only != 0) attributes |= MOUNT_ATTR_RDONLY;
  return clone_tree(mount.source_fd, attributes, text_of(mount));
}

/// Attaches a copy at a path that is root's alone, for an engine that takes paths and no
/// descriptors. The path is made: a folder, or a file.
inline void attach_at(const Descriptor& tree, const cloud_mount& mount, const std::string& path) {
  const auto what = text_of(mount);
  const bool made = is_folder(mount.source_fd, what)
                        ? ::mkdir(path.c_str(), 0755) == 0
                        : ::mknod(path.c_str(), S_IFREG | 0644, 0) == 0;
  if (!made && errno != EEXIST) throw system_failure(CLOUD_E_NODE, "make " + path, errno);
  const Descriptor target{::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
  if (!target) throw system_failure(CLOUD_E_NODE, "open " + path, errno);
  attach_tree(tree, target.value(), what);
}

/// Mounts what the job's user may see at such a path.
inline void mount_at(const cloud_mount& mount, const std::string& path) {
  attach_at(clone_mount(mount), mount, path);
}

/// A mount of the machine's, at a path that an engine can take.
struct PlacedMount {
  std::string path;    ///< in the machine's folder
  std::string target;  ///< in the machine
  bool read_only = false;
};

/// In start(): every mount of the machine at a path in its folder, a folder before what lies in it.
[[nodiscard]] inline std::vector<PlacedMount> place_mounts(const cloud_machine_spec& spec) {
  const auto order = mounts_in_order(spec);
  std::vector<Descriptor> trees;
  for (const auto* mount : order) trees.push_back(clone_mount(*mount));
  std::vector<PlacedMount> placed;
  for (const auto* mount : order) {
    placed.push_back({std::string{spec.work_dir} + "/mount" + std::to_string(placed.size()),
                      mount->target, mount->read_only != 0});
    attach_at(trees[placed.size() - 1], *mount, placed.back().path);
  }
  return placed;
}

}  // namespace sdk
}  // namespace cloud

#endif
