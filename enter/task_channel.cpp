// SPDX-License-Identifier: Apache-2.0
#include "enter/task_channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>

namespace cloud {
namespace {

constexpr std::size_t kNumberSize = 4;
constexpr std::size_t kHeaderSize = 1 + kNumberSize;

Error broken(int number) {
  return os_error(Blame::node, "the connection between `enter` and `escort`", number);
}

bool is_kind(char byte) {
  constexpr std::string_view kKinds = "gjrfmbptse";
  return kKinds.find(byte) != std::string_view::npos;
}

// Whether all of it came before the end of the other side.
bool read_exactly(int socket, char* data, std::size_t size) {
  while (size > 0) {
    const auto count = uninterrupted([&] { return ::recv(socket, data, size, MSG_WAITALL); });
    if (count <= 0) return false;
    data += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

void take_files(const msghdr& message, std::vector<UniqueFd>& files) {
  for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      files.emplace_back(fd);
    }
  }
}

}  // namespace

std::string to_bytes(std::uint32_t number) {
  std::string bytes;
  for (std::size_t i = 0; i < kNumberSize; ++i) {
    bytes += static_cast<char>(number >> (8 * i) & 0xff);
  }
  return bytes;
}

std::uint32_t number_at(std::string_view bytes, std::size_t offset) {
  std::uint32_t number = 0;
  if (bytes.size() < offset + kNumberSize) return 0;
  for (std::size_t i = kNumberSize; i > 0; --i) {
    number = number << 8 | static_cast<unsigned char>(bytes[offset + i - 1]);
  }
  return number;
}

Result<void> send_frame(int socket, FrameKind kind, std::string_view bytes,
                        std::span<const int> files) {
  if (files.size() > kFilesOfFrame) return Error{Blame::internal, "too many files in a frame"};
  auto header = static_cast<char>(kind) + to_bytes(static_cast<std::uint32_t>(bytes.size()));
  iovec part{header.data(), header.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFilesOfFrame * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!files.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(files.size_bytes());
    auto* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(files.size_bytes());
    std::memcpy(CMSG_DATA(rights), files.data(), files.size_bytes());
  }
  const auto sent = uninterrupted([&] { return ::sendmsg(socket, &message, MSG_NOSIGNAL); });
  if (sent < 0) return broken(errno);
  if (static_cast<std::size_t>(sent) != header.size()) return broken(EPIPE);
  while (!bytes.empty()) {
    const auto count =
        uninterrupted([&] { return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (count < 0) return broken(errno);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::optional<Frame>> receive_frame(int socket, std::size_t limit) {
  std::array<char, kHeaderSize> header{};
  iovec part{header.data(), header.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFilesOfFrame * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto count =
      uninterrupted([&] { return ::recvmsg(socket, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC); });
  if (count < 0 && errno != ECONNRESET) return broken(errno);
  if (count <= 0) return std::optional<Frame>{};
  Frame frame;
  take_files(message, frame.files);
  const auto got = static_cast<std::size_t>(count);
  if (got < header.size() && !read_exactly(socket, header.data() + got, header.size() - got)) {
    return std::optional<Frame>{};
  }
  const std::size_t size = number_at({header.data(), header.size()}, 1);
  if (!is_kind(header.front()) || size > limit) {
    return Error{Blame::internal, "a frame between `enter` and `escort` is damaged"};
  }
  frame.kind = static_cast<FrameKind>(header.front());
  frame.bytes.resize(size);
  if (!read_exactly(socket, frame.bytes.data(), size)) return std::optional<Frame>{};
  return std::optional<Frame>{std::move(frame)};
}

bool receive_go(int socket) {
  // At once, or never: root waits for nobody.
  std::array<char, kHeaderSize> header{};
  const auto count =
      uninterrupted([&] { return ::recv(socket, header.data(), header.size(), MSG_DONTWAIT); });
  if (count != static_cast<ssize_t>(header.size())) return false;
  return header.front() == static_cast<char>(FrameKind::go) &&
         number_at({header.data(), header.size()}, 1) == 0;
}

}  // namespace cloud
