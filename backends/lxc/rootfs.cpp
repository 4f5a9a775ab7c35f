// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/rootfs.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/image_file.hpp>

#include "backends/lxc/image.hpp"
#include "backends/lxc/loop_device.hpp"

namespace cloud::lxc {
namespace {

using sdk::Failure;
using sdk::system_failure;

void make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throw system_failure(CLOUD_E_NODE, "make " + path, errno);
  }
}

void make_layer_folder(const std::string& path, std::uint32_t owner) {
  make_folder(path, 0755);
  if (::chown(path.c_str(), owner, owner) != 0) {
    throw system_failure(CLOUD_E_NODE, "change the owner of " + path, errno);
  }
}

// A copy of the mount that `source` stands for, or where that is a mount point what is mounted
// there, read-only and with the machine's ids, mounted at `target`.
void mount_mapped(int source, const std::string& target, const cloud_image& image,
                  int user_namespace) {
  const auto clone = [&] {
    return ::syscall(SYS_open_tree, source, "",
                     AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  };
  const Descriptor tree{static_cast<int>(uninterrupted(clone))};
  if (!tree) throw system_failure(CLOUD_E_CONFIG, "open image " + std::string{image.path}, errno);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY;
  attributes.propagation = MS_PRIVATE;
  attributes.userns_fd = static_cast<__u64>(user_namespace);
  if (::syscall(SYS_mount_setattr, tree.value(), "", AT_EMPTY_PATH, &attributes,
                sizeof attributes) != 0) {
    const int number = errno;
    std::string what = "map the ids of image " + std::string{image.path};
    if (number == EINVAL) {
      what +=
          " (the kernel cannot map ids on this file system: squashfs needs Linux 6.2, directories "
          "ext4, xfs, btrfs or tmpfs)";
    }
    throw system_failure(CLOUD_E_NODE, what, number);
  }
  if (::syscall(SYS_move_mount, tree.value(), "", -1, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
      0) {
    throw system_failure(CLOUD_E_NODE, "mount image " + std::string{image.path}, errno);
  }
}

void mount_image(const cloud_machine_spec& spec, const std::string& lower, int user_namespace) {
  const auto& image = *spec.image;
  const auto source = open_image(image);
  if (std::string_view{image.format} != "squashfs") {
    mount_mapped(source.value(), lower, image, user_namespace);
    return;
  }
  const auto loop = attach_loop_device(source.value(), image.path);
  if (::mount(loop.path.c_str(), lower.c_str(), "squashfs", MS_RDONLY | MS_NODEV, nullptr) != 0) {
    throw system_failure(CLOUD_E_CONFIG, "mount squashfs image " + std::string{image.path}, errno);
  }
  const Descriptor mounted{::open(lower.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!mounted) throw system_failure(CLOUD_E_NODE, "open " + lower, errno);
  mount_mapped(mounted.value(), lower, image, user_namespace);
}

// The machine's /dev/shm.
void mount_shared_memory(const std::string& path) {
  make_folder(path, 0755);
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV;
  if (::mount("tmpfs", path.c_str(), "tmpfs", kFlags, "mode=1777") != 0) {
    throw system_failure(CLOUD_E_NODE, "mount a tmpfs at " + path, errno);
  }
}

// Fails with EXDEV where the path leads into something that is mounted on the overlay.
int open_on_overlay(int root, const std::string& path) {
  return sdk::open_in_root(root, path, O_PATH, RESOLVE_NO_XDEV);
}

}  // namespace

Descriptor mount_rootfs(const cloud_machine_spec& spec, const WritableLayer& layer,
                        int user_namespace) {
  const std::string work_dir = spec.work_dir;
  // Root's alone: what a machine writes, set-uid programs too, is not for other users of the node.
  auto layers = work_dir + "/layers";
  const auto lower = layers + "/lower";
  const auto rootfs = work_dir + "/rootfs";
  make_folder(layers, 0700);
  make_folder(lower, 0755);
  make_folder(rootfs, 0755);
  mount_image(spec, lower, user_namespace);
  if (layer.in_memory) {
    layers += "/memory";
    make_folder(layers, 0755);
    const auto options = "mode=0755,size=" + layer.size;
    if (::mount("tmpfs", layers.c_str(), "tmpfs", MS_NODEV, options.c_str()) != 0) {
      throw system_failure(CLOUD_E_NODE, "mount a tmpfs of " + layer.size + " bytes", errno);
    }
  }
  mount_shared_memory(work_dir + "/shm");
  make_layer_folder(layers + "/upper", spec.subid_first);
  make_layer_folder(layers + "/work", spec.subid_first);
  const auto options =
      "lowerdir=" + lower + ",upperdir=" + layers + "/upper,workdir=" + layers + "/work";
  if (::mount("overlay", rootfs.c_str(), "overlay", MS_NODEV, options.c_str()) != 0) {
    throw system_failure(CLOUD_E_NODE, "mount the overlay " + rootfs, errno);
  }
  Descriptor root{::open(rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!root) throw system_failure(CLOUD_E_NODE, "open " + rootfs, errno);
  return root;
}

Descriptor make_in_root(int root, const std::string& path, bool directory, std::uint32_t owner) {
  const auto fail = [&](const std::string& part) {
    if (errno == EXDEV) {
      return Failure{CLOUD_E_INTERNAL, "'" + part + "' in the machine lies in a mount"};
    }
    return system_failure(CLOUD_E_REQUEST, "make '" + part + "' in the machine", errno);
  };
  Descriptor folder{open_on_overlay(root, "/")};
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const auto part = path.substr(0, end);
    const bool is_last = end == std::string::npos;
    const auto name = part.substr(part.rfind('/') + 1);
    Descriptor next{open_on_overlay(root, part)};
    if (!next && errno == ENOENT) {
      const bool made = directory || !is_last
                            ? ::mkdirat(folder.value(), name.c_str(), 0755) == 0
                            : ::mknodat(folder.value(), name.c_str(), S_IFREG | 0644, 0) == 0;
      if (!made) throw fail(part);
      if (::fchownat(folder.value(), name.c_str(), owner, owner, AT_SYMLINK_NOFOLLOW) != 0) {
        throw fail(part);
      }
      next = Descriptor{open_on_overlay(root, part)};
    }
    if (!next) throw fail(part);
    if (is_last) {
      struct stat status {};
      if (::fstat(next.value(), &status) != 0) throw fail(part);
      if (S_ISDIR(status.st_mode) != directory) {
        throw Failure{CLOUD_E_REQUEST, "'" + path + "' in the machine is " +
                                           (directory ? "no folder" : "a folder") +
                                           ", unlike what shall be mounted there"};
      }
      return next;
    }
    folder = std::move(next);
  }
}

}  // namespace cloud::lxc
