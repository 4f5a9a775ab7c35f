// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace cloud {

/// How long a hook may take for all that is ours in it. Whatever may have to wait is given a share
/// of what is left, so that a step which uses up its own makes the hook no longer.
class TimeBudget {
 public:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;

  explicit TimeBudget(Milliseconds all) : end_{Clock::now() + all} {}

  /// At most `most`; where nothing is left, still a moment: most steps need no more, and all that
  /// can be done at the end of a job has to be done.
  [[nodiscard]] Milliseconds share(Milliseconds most) const {
    constexpr Milliseconds kMoment{200};
    const auto left = std::chrono::duration_cast<Milliseconds>(end_ - Clock::now());
    return std::min(most, std::max(left, kMoment));
  }
  [[nodiscard]] Clock::time_point until(Milliseconds most) const {
    return Clock::now() + share(most);
  }
  [[nodiscard]] bool is_spent() const { return Clock::now() >= end_; }

  /// While it lives, time is not counted: a site's own program has the limit that the site gave it.
  class Pause {
   public:
    explicit Pause(TimeBudget& budget) : budget_{budget} {}
    ~Pause() { budget_.end_ += Clock::now() - began_; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    TimeBudget& budget_;
    Clock::time_point began_ = Clock::now();
  };

 private:
  Clock::time_point end_;
};

}  // namespace cloud
