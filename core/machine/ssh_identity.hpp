// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/system/subprocess.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// Whom the ssh(1) runs as that holds a machine's shared connection. OpenSSH wants its uid to be
/// that of the clients, the job's user: it is the user in a user namespace that nobody can log in
/// to, where no process of the user's outside can trace it or take its descriptors. A group that
/// the user does not have lets it make its socket in a folder that the user cannot write.
class SshIdentity {
 public:
  [[nodiscard]] static Result<SshIdentity> make(const MachineUser& user, std::uint32_t subid_first);
  /// Valid as long as this is.
  [[nodiscard]] const Credentials& credentials() const noexcept { return credentials_; }

  /// The group.
  [[nodiscard]] static std::uint32_t group(std::uint32_t subid_first);

 private:
  SshIdentity(UniqueFd user_namespace, Credentials credentials);

  UniqueFd namespace_;
  Credentials credentials_;
};

}  // namespace cloud
