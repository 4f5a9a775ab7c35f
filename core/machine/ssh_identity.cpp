// SPDX-License-Identifier: Apache-2.0
#include "core/machine/ssh_identity.hpp"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <spank-cloud/user_namespace.hpp>
#include <utility>
#include <vector>

namespace cloud {
namespace {

// 65534, usually called nobody.
std::uint32_t overflow_uid() {
  std::ifstream file{"/proc/sys/kernel/overflowuid"};
  std::uint32_t uid = 65534;
  file >> uid;
  return uid;
}

}  // namespace

SshIdentity::SshIdentity(UniqueFd user_namespace, Credentials credentials)
    : namespace_{std::move(user_namespace)}, credentials_{std::move(credentials)} {
  credentials_.user_namespace = namespace_.value();
}

std::uint32_t SshIdentity::group(std::uint32_t subid_first) {
  return sdk::engine_id(subid_first);
}

Result<SshIdentity> SshIdentity::make(const MachineUser& user, std::uint32_t subid_first) {
  // Of the user's other groups it needs none.
  const auto own = group(subid_first);
  Credentials credentials{user.uid, user.gid, {own}, -1};
  // In a user namespace it would take root's files for its own: that id stands for all others
  // there, and ssh reads no key of its own that others can read. No account of a person has it.
  if (user.uid == overflow_uid()) return SshIdentity{UniqueFd{}, std::move(credentials)};
  const std::vector<sdk::IdRange> gids{{user.gid, user.gid, 1}, {own, own, 1}};
  try {
    const std::vector<sdk::IdRange> uids{{user.uid, user.uid, 1}};
    const sdk::UserNamespace made{subid_first, uids, gids};
    // The descriptor keeps it, and no process has to.
    UniqueFd kept{::fcntl(made.fd(), F_DUPFD_CLOEXEC, 0)};
    if (!kept) return os_error(Blame::node, "keep a user namespace", errno);
    return SshIdentity{std::move(kept), std::move(credentials)};
  } catch (const sdk::Failure& failure) {
    return Error{Blame::node, failure.what(), failure.os_errno()}.within(
        "make a user namespace for the machine's ssh connection");
  }
}

}  // namespace cloud
