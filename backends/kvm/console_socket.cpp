// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/console_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>

namespace cloud::kvm {

void require_socket_path(const std::string& path) {
  constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= kLongest) return;
  throw sdk::Failure{CLOUD_E_CONFIG, path + " has " + std::to_string(path.size()) +
                                         " bytes, and a socket's path has " +
                                         std::to_string(kLongest) +
                                         " at most: choose a shorter state_dir in cloud.toml"};
}

sdk::Descriptor connect_console(const std::string& path) {
  const auto slash = path.rfind('/');
  const sdk::Descriptor folder{
      ::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  sdk::Descriptor console{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A socket's path has 108 bytes at most, and the machine's folder may be deeper.
  const auto name = "/proc/self/fd/" + std::to_string(folder.value()) + path.substr(slash);
  if (!folder || !console || name.size() >= sizeof address.sun_path) {
    throw sdk::system_failure(CLOUD_E_NODE, "open the console " + path, errno);
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  const auto join = [&] {
    return ::connect(console.value(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  };
  if (uninterrupted(join) != 0) {
    throw sdk::system_failure(CLOUD_E_NODE, "connect to the console " + path, errno);
  }
  return console;
}

}  // namespace cloud::kvm
