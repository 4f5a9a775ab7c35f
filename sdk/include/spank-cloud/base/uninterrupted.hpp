// SPDX-License-Identifier: Apache-2.0
//
// System calls that a signal interrupts. The process that a backend is loaded into has handlers and
// timers of its own, and a call that comes back with EINTR (signal(7) lists which can) has done
// nothing: it is not the node that failed.
#ifndef SPANK_CLOUD_BASE_UNINTERRUPTED_HPP
#define SPANK_CLOUD_BASE_UNINTERRUPTED_HPP

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace cloud {

/// Calls again what a signal has interrupted. `call` returns -1 and sets errno, as a system call
/// does.
template <typename Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// Waits for one of poll(2)'s `events` of the descriptor, or for the end of the limit, a week at
/// most, however many signals come in between. Whether it came, or the other end has gone.
inline bool is_ready_within(int fd, short events, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kNone{0};
  constexpr std::chrono::milliseconds kWeek{std::chrono::hours{7 * 24}};
  const auto end = Clock::now() + std::clamp(limit, kNone, kWeek);
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd wanted{fd, events, 0};
    const int count = ::poll(&wanted, 1, static_cast<int>(std::max(left, kNone).count()));
    if (count > 0) return true;
    // A kernel without memory for a moment is no end of the limit, either.
    if (Clock::now() >= end) return false;
  }
}

}  // namespace cloud

#endif
