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

}  // namespace

Result<void> require_no_owner(std::int64_t pid, std::uint32_t uid) {
  const auto path = "/proc/" + std::to_string(pid) + "/ns/user";
  UniqueFd space{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const UniqueFd ours{::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)};
  // It has ended by now, and wait_ready() says why.
  if (!space && errno == ENOENT) return {};
  if (!space || !ours) return os_error(Blame::node, "open " + path, errno);
  if (inode_of(space.value()) == inode_of(ours.value())) return is_owned(pid, "is the node's own");
  while (inode_of(space.value()) != inode_of(ours.value())) {
    uid_t owner = 0;
    if (::ioctl(space.value(), NS_GET_OWNER_UID, &owner) != 0) {
      return os_error(Blame::node, "ask for the owner of " + path, errno);
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
    if (!parent) return os_error(Blame::node, "ask for the parent of " + path, errno);
    space = std::move(parent);
  }
  return {};
}

}  // namespace cloud
