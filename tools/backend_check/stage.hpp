// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <string>

namespace cloud {

/// The call that is being made into the backend, seen by every process of the run: one page of
/// shared memory, as whoever makes the call may be killed in it.
class Stage {
 public:
  /// The one of this run; made by the first process that asks.
  static Stage& instance();

  void reset();
  void enter(const char* call);
  void leave();

  [[nodiscard]] int entered(const char* call) const;  ///< how often that call has begun
  [[nodiscard]] int returned(const char* call) const;
  /// "start()": the call that has begun and not returned; "" where there is none.
  [[nodiscard]] std::string pending() const;
  /// For how long it has been pending.
  [[nodiscard]] std::chrono::steady_clock::duration pending_for() const;

 private:
  struct Counter {
    std::atomic<int> entered;
    std::atomic<int> returned;
  };
  [[nodiscard]] static int index_of(const char* call);

  Counter counters_[16];
  std::atomic<int> current_;
  std::atomic<std::chrono::steady_clock::rep> since_;
};

}  // namespace cloud
