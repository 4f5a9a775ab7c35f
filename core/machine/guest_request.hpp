// SPDX-License-Identifier: Apache-2.0
//
// What a task is, as the host tells it to the program `guest` in a virtual machine. Both sides
// compile this, so it needs nothing but libc.
//
// The bytes are fields that end with NUL, in this order: "spank-cloud-task-1", the working
// directory, the umask in octal, then three lists: limits as NAME=SOFT, the environment, the
// command. A list is its length in decimal and then its fields. Then the text of a batch script, or
// an empty one. Nothing may follow.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// A soft limit; `resource` is a number of sys/resource.h, kGuestUnlimited is RLIM_INFINITY.
struct GuestLimit {
  int resource = 0;
  std::uint64_t soft = 0;
  bool operator==(const GuestLimit&) const = default;
};

inline constexpr std::uint64_t kGuestUnlimited = ~std::uint64_t{0};

struct GuestRequest {
  std::string working_directory = {};  ///< absolute, or "" for the user's home
  mode_t umask = 0022;
  std::vector<GuestLimit> limits = {};
  std::vector<std::string> environment = {};  ///< NAME=VALUE, and all that the task gets
  std::vector<std::string> command = {};      ///< at least argv[0]
  std::string script =
      {};  ///< the text of a batch script, which runs in the place of command[0]; or ""
};

inline constexpr std::size_t kGuestRequestMax = std::size_t{64} << 20;  ///< bytes of a request

/// Fails (Blame::user) where there is no command, a text holds a NUL byte, or it gets too long.
[[nodiscard]] Result<std::string> serialise(const GuestRequest& request);
/// The reverse; refuses (Blame::internal) whatever serialise() would not have written. A limit
/// that this side does not know is left out.
[[nodiscard]] Result<GuestRequest> parse_guest_request(std::string_view bytes);

/// A raw wait status as `guest status` prints it: "exited 7", "signalled 9".
[[nodiscard]] std::string guest_status_text(int wait_status);
/// The reverse, of whatever the machine answers: a wait status, or nothing where it says no end
/// that a process can have.
[[nodiscard]] std::optional<int> parse_guest_status(std::string_view text);
inline constexpr std::size_t kGuestTokenMax = 64;  ///< characters
/// Whether that can be the name that `guest put` gives a task: it becomes part of commands.
[[nodiscard]] bool is_guest_token(std::string_view text);
/// What a shell makes of a wait status: the exit status, or 128 and the signal.
[[nodiscard]] int guest_exit_status(int wait_status);

}  // namespace cloud
