// SPDX-License-Identifier: Apache-2.0
#include "core/system/local_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>

namespace cloud {
namespace {

constexpr int kBacklog = 8;

Result<sockaddr_un> address_of(const UniqueFd& folder, const std::string& dir,
                               const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A socket's path has 108 bytes at most, and a folder's may be longer.
  const auto path = "/proc/self/fd/" + std::to_string(folder.value()) + "/" + name;
  if (!folder) return os_error(Blame::node, "open " + dir, errno);
  if (path.size() >= sizeof address.sun_path) return Error{Blame::internal, "socket name too long"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

UniqueFd local_socket() {
  return UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& dir, const std::string& name) {
  const UniqueFd folder{::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  const auto address = address_of(folder, dir, name);
  if (!address) return address.error();
  UniqueFd socket = local_socket();
  ::unlinkat(folder.value(), name.c_str(), 0);
  if (!socket ||
      ::bind(socket.value(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::listen(socket.value(), kBacklog) != 0) {
    return os_error(Blame::node, "listen at " + dir + "/" + name, errno);
  }
  return socket;
}

Result<UniqueFd> connect_to(const std::string& dir, const std::string& name) {
  const UniqueFd folder{::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  const auto address = address_of(folder, dir, name);
  if (!address) return address.error();
  UniqueFd socket = local_socket();
  const auto join = [&] {
    return ::connect(socket.value(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  };
  if (!socket || uninterrupted(join) != 0) {
    return os_error(Blame::node, "connect to " + dir + "/" + name, errno);
  }
  return socket;
}

}  // namespace cloud
