// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend.hpp>
#include <string>
#include <vector>

#include "backends/lxc/descriptor.hpp"
#include "backends/lxc/id_map.hpp"

namespace cloud::lxc {

/// A user namespace that belongs to the job's user: whoever owns one may enter it and the
/// namespaces that it owns with setns(2) alone, so no privileged program is needed to take the
/// user's tasks into the machine. A process holds it open until liblxc has started the machine in
/// it.
class UserNamespace {
 public:
  UserNamespace(const cloud_user& user, const std::vector<IdRange>& uids,
                const std::vector<IdRange>& gids);
  ~UserNamespace();
  UserNamespace(const UserNamespace&) = delete;
  UserNamespace& operator=(const UserNamespace&) = delete;

  /// "/proc/PID/ns/user"
  [[nodiscard]] std::string path() const;
  [[nodiscard]] int fd() const noexcept { return fd_.value(); }

 private:
  pid_t holder_ = -1;
  Descriptor fd_;
};

}  // namespace cloud::lxc
