// SPDX-License-Identifier: Apache-2.0
#include "core/machine/ssh_identity.hpp"

#include <spank-cloud/user_namespace.hpp>
#include <utility>
#include <vector>

namespace cloud {

SshIdentity::SshIdentity(std::unique_ptr<sdk::UserNamespace> made, Credentials credentials)
    : namespace_{std::move(made)}, credentials_{std::move(credentials)} {}
SshIdentity::SshIdentity(SshIdentity&&) noexcept = default;
SshIdentity& SshIdentity::operator=(SshIdentity&&) noexcept = default;
SshIdentity::~SshIdentity() = default;

std::uint32_t SshIdentity::group(std::uint32_t subid_first) {
  return sdk::engine_id(subid_first);
}

Result<SshIdentity> SshIdentity::make(const MachineUser& user, std::uint32_t subid_first) {
  Credentials credentials{user.uid, user.gid, user.groups, -1};
  // As in a machine: a user of more groups than the kernel maps has the first of them.
  constexpr std::size_t kGroupsMax = 300;
  if (credentials.groups.size() > kGroupsMax) credentials.groups.resize(kGroupsMax);
  credentials.groups.push_back(group(subid_first));
  std::vector<sdk::IdRange> gids{{user.gid, user.gid, 1}};
  for (const auto gid : credentials.groups) gids.push_back({gid, gid, 1});
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
