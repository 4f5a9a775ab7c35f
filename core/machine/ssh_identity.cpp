// SPDX-License-Identifier: Apache-2.0
#include "core/machine/ssh_identity.hpp"

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

SshIdentity::SshIdentity(std::unique_ptr<sdk::UserNamespace> made, Credentials credentials)
    : namespace_{std::move(made)}, credentials_{std::move(credentials)} {}
SshIdentity::SshIdentity(SshIdentity&&) noexcept = default;
SshIdentity& SshIdentity::operator=(SshIdentity&&) noexcept = default;
SshIdentity::~SshIdentity() = default;

std::uint32_t SshIdentity::group(std::uint32_t subid_first) {
  return sdk::engine_id(subid_first);
}

Result<SshIdentity> SshIdentity::make(const MachineUser& user, std::uint32_t subid_first) {
  // Of the user's other groups it needs none.
  const auto own = group(subid_first);
  Credentials credentials{user.uid, user.gid, {own}, -1};
  // In a user namespace it would take root's files for its own: that id stands for all others
  // there, and ssh reads no key of its own that others can read. No account of a person has it.
  if (user.uid == overflow_uid()) return SshIdentity{nullptr, std::move(credentials)};
  const std::vector<sdk::IdRange> gids{{user.gid, user.gid, 1}, {own, own, 1}};
  try {
    const std::vector<sdk::IdRange> uids{{user.uid, user.uid, 1}};
    auto made = std::make_unique<sdk::UserNamespace>(subid_first, uids, gids);
    credentials.user_namespace = made->fd();
    return SshIdentity{std::move(made), std::move(credentials)};
  } catch (const sdk::Failure& failure) {
    return Error{Blame::node, failure.what(), failure.os_errno()}.within(
        "make a user namespace for the machine's ssh connection");
  }
}

}  // namespace cloud
