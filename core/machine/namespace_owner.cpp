// SPDX-License-Identifier: Apache-2.0
#include "core/machine/namespace_owner.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

ino_t inode_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

Error is_owned(std::int64_t pid, const std::string& how) {
  return {Blame::site,
          "the machine was ended, as the user namespace of its process " + std::to_string(pid) +
              " " + how +
              ": its author has to make it with UserNamespace{spec} of the SDK of spank-cloud " +
              CLOUD_VERSION + " (docs/backend-authors.md, \"From 1.0's UserNamespace\")"};
}

// The user namespace itself, and those that it lies in, up to ours.
Result<void> require_no_owner_of(UniqueFd space, std::int64_t pid, std::uint32_t uid, ino_t ours) {
  while (inode_of(space.value()) != ours) {
    uid_t owner = 0;
    if (::ioctl(space.value(), NS_GET_OWNER_UID, &owner) != 0) {
      return os_error(Blame::node, "ask for the owner of a machine's user namespace", errno);
    }
    // Also where no directory answers.
    if (owner == uid) return is_owned(pid, "belongs to the job's user");
    if (const auto* account = owner == 0 ? nullptr : ::getpwuid(owner)) {
      return is_owned(pid, std::string{"belongs to user "} + account->pw_name +
                               ", who could enter and trace it from outside");
    }
    UniqueFd parent{::ioctl(space.value(), NS_GET_PARENT)};
    // Above ours is nothing of the machine's.
    if (!parent && errno == EPERM) return {};
    if (!parent) return os_error(Blame::node, "ask for the parent of a user namespace", errno);
    space = std::move(parent);
  }
  return {};
}

}  // namespace

Result<void> require_no_owner(std::int64_t pid, std::uint32_t uid) {
  const auto folder = "/proc/" + std::to_string(pid) + "/ns/";
  UniqueFd space{::open((folder + "user").c_str(), O_RDONLY | O_CLOEXEC)};
  const UniqueFd own{::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)};
  // It has ended by now, and wait_ready() says why.
  if (!space && errno == ENOENT) return {};
  if (!space || !own) return os_error(Blame::node, "open " + folder + "user", errno);
  const auto ours = inode_of(own.value());
  if (inode_of(space.value()) == ours) return is_owned(pid, "is the node's own");
  if (auto good = require_no_owner_of(std::move(space), pid, uid, ours); !good) return good;
  // Each of the others may have been made in another user namespace, and is its owner's to join.
  for (const auto* name : {"mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    const UniqueFd joined{::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC)};
    if (!joined && errno == ENOENT) return {};
    UniqueFd of{joined ? ::ioctl(joined.value(), NS_GET_USERNS) : -1};
    // One above ours is nothing of the machine's.
    if (!of && errno == EPERM) continue;
    if (!of) return os_error(Blame::node, "ask for the owner of " + folder + name, errno);
    if (auto good = require_no_owner_of(std::move(of), pid, uid, ours); !good) return good;
  }
  return {};
}

}  // namespace cloud
