// SPDX-License-Identifier: Apache-2.0
#include "hooks/keeper/peer_watch.hpp"

#include <algorithm>

#include "core/machine/machine_network.hpp"
#include "core/network/port_guard.hpp"
#include "core/system/file_version.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kFirstPause = 200ms;
constexpr auto kLongestPause = 30'000ms;

}  // namespace

PeerWatch::PeerWatch(PoolConfig pool, std::uint64_t job_id, std::string machine)
    : pool_{std::move(pool)},
      job_id_{job_id},
      machine_{std::move(machine)},
      next_{Clock::now()},
      pause_{kFirstPause} {}

Result<void> PeerWatch::look() {
  if (Clock::now() < next_) return {};
  next_ = Clock::now() + pause_;
  pause_ = std::min<std::chrono::milliseconds>(pause_ * 2, kLongestPause);
  // Before it is read: a change that comes between is seen the next time.
  const auto now = version();
  if (now.empty() || now == seen_) return {};
  const auto apart = addresses_apart(pool_, job_id_);
  if (!apart) return apart.error();
  if (auto set = keep_apart(machine_, *apart); !set) return set;
  seen_ = now;
  return {};
}

std::string PeerWatch::version() const {
  struct stat status {};
  return ::stat(pool_.file.c_str(), &status) == 0 ? version_of(status) : std::string{};
}

}  // namespace cloud
