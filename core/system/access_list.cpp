// SPDX-License-Identifier: Apache-2.0
#include "core/system/access_list.hpp"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>

namespace cloud {
namespace {

// The kernel's own form, from linux/posix_acl_xattr.h: libacl would be one more library in srun and
// slurmstepd, for one call.
struct AccessList {
  posix_acl_xattr_header header;
  std::array<posix_acl_xattr_entry, 5> entries;
};

posix_acl_xattr_entry entry(std::uint16_t tag, std::uint16_t rights, uid_t id) {
  posix_acl_xattr_entry made{};
  made.e_tag = htole16(tag);
  made.e_perm = htole16(rights);
  made.e_id = htole32(id);
  return made;
}

}  // namespace

Result<void> set_mode_with_reader(int fd, mode_t mode, uid_t reader) {
  constexpr std::uint16_t kWithoutWrite = 05;
  constexpr auto kNobody = static_cast<uid_t>(ACL_UNDEFINED_ID);
  const auto owners = static_cast<std::uint16_t>((mode >> 6) & 07);
  const auto readers = static_cast<std::uint16_t>(owners & kWithoutWrite);
  AccessList list{};
  list.header.a_version = htole32(POSIX_ACL_XATTR_VERSION);
  list.entries = {entry(ACL_USER_OBJ, owners, kNobody), entry(ACL_USER, readers, reader),
                  entry(ACL_GROUP_OBJ, 0, kNobody), entry(ACL_MASK, readers, kNobody),
                  entry(ACL_OTHER, 0, kNobody)};
  if (::fsetxattr(fd, "system.posix_acl_access", &list, sizeof list, 0) == 0) return {};
  if (errno == EOPNOTSUPP) {
    return Error{Blame::node,
                 "the file system has no POSIX access lists, which let the job's user read what "
                 "root alone may change: put cloud.run_dir on a tmpfs"};
  }
  return os_error(Blame::node, "let uid " + std::to_string(reader) + " read", errno);
}

}  // namespace cloud
