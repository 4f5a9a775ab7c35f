// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <spank-cloud/backend.hpp>

namespace cloud::lxc {

/// Runs `body` in a child process and returns its answer; std::nullopt where none came before the
/// deadline (the child is killed) or the child died. liblxc 5.0 waits without a limit for a monitor
/// that waits without a limit for an init that was killed while it was being set up.
/// Throws CLOUD_E_CANCELLED where `host` is given and says so, CLOUD_E_NODE where fork() fails.
[[nodiscard]] std::optional<std::int64_t> bounded_call(const std::function<std::int64_t()>& body,
                                                       sdk::Deadline deadline,
                                                       const sdk::Host* host = nullptr);

/// The deadline that lies so many seconds ahead.
[[nodiscard]] sdk::Deadline in_seconds(std::int64_t seconds) noexcept;

}  // namespace cloud::lxc
