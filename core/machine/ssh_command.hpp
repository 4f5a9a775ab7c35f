// SPDX-License-Identifier: Apache-2.0
//
// How a machine is reached through OpenSSH, by the keeper as well as by `enter`. The folder of the
// published state holds what it takes, in `ssh/`: the user's key for this machine alone, the
// machine's host key, and the socket of the one connection that all sessions share. Pure, without
// dependencies beyond libstdc++.
#pragma once

#include <string>
#include <vector>

namespace cloud {

/// The static program that a machine of this kind carries: see backends/kvm/guest.
inline constexpr const char* kGuestProgram = "/run/spank-cloud/guest";

struct SshTarget {
  std::string dir;      ///< of the published state
  std::string machine;  ///< the alias under which its host key is known
  std::string user;     ///< who logs in
  std::string address;  ///< IPv4
};

[[nodiscard]] std::string ssh_key_file(const std::string& dir);
[[nodiscard]] std::string ssh_known_hosts_file(const std::string& dir);
/// The folder of the connection's socket. It is root's; the user may go through it, and the ssh
/// that holds the connection may make the socket there (core/machine/ssh_identity.hpp).
[[nodiscard]] std::string ssh_socket_folder(const std::string& dir);

/// The arguments of ssh(1), the program first: no file of the user's or the site's is read, nothing
/// is asked, and no other host key than the machine's is taken. `options` come before the host, the
/// remote command (which the user's shell in the machine reads) after it; it may be "". It has to
/// run in ssh_socket_folder(): the path of a socket has 107 bytes at most, and that of a folder may
/// have more.
[[nodiscard]] std::vector<std::string> ssh_command(const SshTarget& target,
                                                   const std::vector<std::string>& options,
                                                   const std::string& remote_command);

}  // namespace cloud
