// SPDX-License-Identifier: Apache-2.0
#include "enter/machine_wait.hpp"

#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kKeeperLimit = 30s;  ///< it starts before any step does

void say(const std::string& text) {
  std::fprintf(stderr, "spank_cloud: %s\n", text.c_str());
}

}  // namespace

Result<PublishedState> wait_until_ready(const std::string& dir) {
  const auto begun = Clock::now();
  auto next_word = begun + 2s;
  for (;;) {
    auto state = read_published_state(dir);
    if (!state) {
      return Error{Blame::node, "the machine of this job is gone: " + state.error().message};
    }
    const auto now = Clock::now();
    switch (state->phase) {
      case MachinePhase::ready:
        if (state->entry != MachineEntry::pending) return state;
        break;
      case MachinePhase::failed:
      case MachinePhase::ended:
        return Error{Blame::node, state->reason};
      case MachinePhase::prepared:
        if (now - begun > kKeeperLimit) {
          return Error{Blame::node,
                       "the machine's keeper did not start: slurmd's log on this node says "
                       "why"};
        }
        break;
      case MachinePhase::starting:
      case MachinePhase::booting:
        // Root's process: EPERM means that it lives, also where /proc hides it.
        if (::kill(static_cast<pid_t>(state->keeper_pid), 0) != 0 && errno == ESRCH) {
          return Error{Blame::node, "the machine's keeper has died before the machine was ready"};
        }
        if (state->boot_limit_s > 0 &&
            now - begun > std::chrono::seconds{state->boot_limit_s} + 60s) {
          return Error{Blame::node,
                       "the machine's keeper hangs (" + state->progress +
                           "): does a file system of its mounts not answer? `cloudctl logs`"};
        }
        break;
    }
    if (now >= next_word) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - begun).count();
      say("waiting for the machine for " + std::to_string(seconds) +
          " s: " + std::string{to_string(state->phase)} +
          (state->progress.empty() ? "" : ", " + state->progress));
      next_word = now + 10s;
    }
    std::this_thread::sleep_for(now - begun < 5s ? 2ms : 50ms);
  }
}

}  // namespace cloud
