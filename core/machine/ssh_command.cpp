// SPDX-License-Identifier: Apache-2.0
#include "core/machine/ssh_command.hpp"

namespace cloud {

std::string ssh_key_file(const std::string& dir) {
  return dir + "/ssh/key";
}

std::string ssh_known_hosts_file(const std::string& dir) {
  return dir + "/ssh/known_hosts";
}

std::string ssh_socket_folder(const std::string& dir) {
  return dir + "/ssh/socket";
}

std::vector<std::string> ssh_command(const SshTarget& target,
                                     const std::vector<std::string>& options,
                                     const std::string& remote_command) {
  std::vector<std::string> words{"/usr/bin/ssh", "-F", "none"};
  for (const auto& option :
       {std::string{"BatchMode=yes"}, std::string{"IdentitiesOnly=yes"},
        "IdentityFile=" + ssh_key_file(target.dir), std::string{"StrictHostKeyChecking=yes"},
        "UserKnownHostsFile=" + ssh_known_hosts_file(target.dir),
        std::string{"GlobalKnownHostsFile=/dev/null"}, "HostKeyAlias=" + target.machine,
        std::string{"CheckHostIP=no"}, std::string{"PreferredAuthentications=publickey"},
        std::string{"ConnectTimeout=10"}, std::string{"ServerAliveInterval=15"},
        std::string{"LogLevel=ERROR"}, std::string{"ControlPath=./s"},
        std::string{"EscapeChar=none"}}) {
    words.push_back("-o");
    words.push_back(option);
  }
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"-l", target.user, "--", target.address});
  if (!remote_command.empty()) words.push_back(remote_command);
  return words;
}

}  // namespace cloud
