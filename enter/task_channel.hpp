// SPDX-License-Identifier: Apache-2.0
//
// What `enter`, which is the user's, and `escort`, which was root's until it was in the machine,
// say to each other. A frame is one byte for its kind, the number of its bytes (4 bytes, the least
// first), and those bytes; descriptors travel with its first byte.
//
//   enter  → escort   go                 the machine is ready: take me there
//   escort → enter    joined | refused   it is in the machine, as the user; or why not
//   enter  → escort   files              descriptors, and their numbers as 4 bytes each
//   enter  → escort   memory_policy      of set_mempolicy(2): 4 bytes of mode, the mask
//   enter  → escort   script             the number of the descriptor to run in the command's place
//   enter  → escort   terminal           asks for a terminal of the machine's
//   escort → enter    terminal           its master, or no descriptor where there is none
//   enter  → escort   task               a GuestRequest: the task begins
//   enter  → escort   signal             one byte, the signal's number, for the task
//   escort → enter    ended | refused    the task's wait status, 4 bytes; or why it could not begin
//
// Until it has answered `joined`, escort is root, and reads nothing but `go`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

enum class FrameKind : char {
  go = 'g',
  joined = 'j',
  refused = 'r',
  files = 'f',
  memory_policy = 'm',
  script = 'b',
  terminal = 'p',
  task = 't',
  signal = 's',
  ended = 'e',
};

struct Frame {
  FrameKind kind = FrameKind::go;
  std::string bytes;
  std::vector<UniqueFd> files;
};

inline constexpr std::size_t kFilesOfFrame = 200;  ///< descriptors; the kernel takes 253 at once

/// Blocks until all of it is sent. `files`: kFilesOfFrame at most.
[[nodiscard]] Result<void> send_frame(int socket, FrameKind kind, std::string_view bytes = {},
                                      std::span<const int> files = {});

/// Blocks until a whole frame is there. Nothing at the end of the other side. An error where it is
/// longer than `limit` bytes or of no kind that there is. The descriptors are closed on exec.
[[nodiscard]] Result<std::optional<Frame>> receive_frame(int socket, std::size_t limit);

/// Reads `go` and nothing else, descriptors that come with it neither. False at the end of the
/// other side, or where it says anything else.
[[nodiscard]] bool receive_go(int socket);

/// A number as frames have it.
[[nodiscard]] std::string to_bytes(std::uint32_t number);
/// The number at `offset`; 0 where the bytes end before.
[[nodiscard]] std::uint32_t number_at(std::string_view bytes, std::size_t offset = 0);

}  // namespace cloud
