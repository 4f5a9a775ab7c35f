// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/namespace_owner.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <utility>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

bool is_same(int file, const struct stat& other) {
  struct stat status {};
  return ::fstat(file, &status) == 0 && status.st_ino == other.st_ino &&
         status.st_dev == other.st_dev;
}

}  // namespace

std::vector<NamespaceOwner> namespace_owners(pid_t pid) {
  std::vector<NamespaceOwner> owners;
  struct stat node {};
  if (::stat("/proc/1/ns/user", &node) != 0) return owners;
  for (const char* kind : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"}) {
    const auto path = "/proc/" + std::to_string(pid) + "/ns/" + kind;
    UniqueFd at{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (at && kind != std::string_view{"user"}) at.reset(::ioctl(at.value(), NS_GET_USERNS));
    while (at && !is_same(at.value(), node)) {
      NamespaceOwner owner{kind, 0};
      if (::ioctl(at.value(), NS_GET_OWNER_UID, &owner.uid) == 0) owners.push_back(owner);
      at.reset(::ioctl(at.value(), NS_GET_PARENT));
    }
  }
  return owners;
}

}  // namespace cloud
