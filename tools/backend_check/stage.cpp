// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/stage.hpp"

#include <sys/mman.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>

namespace cloud {
namespace {

constexpr std::array<std::string_view, 12> kCalls = {"load",    "open",    "close",      "probe",
                                                     "prepare", "start",   "wait_ready", "info",
                                                     "stop",    "destroy", "list",       "console"};

}  // namespace

Stage& Stage::instance() {
  static Stage* const shared = [] {
    void* page =
        ::mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
      std::perror("cloud-backend-check: mmap");
      std::abort();
    }
    auto* made = new (page) Stage;
    made->reset();
    return made;
  }();
  return *shared;
}

int Stage::index_of(const char* call) {
  for (std::size_t i = 0; i < kCalls.size(); ++i) {
    if (kCalls.at(i) == call) return static_cast<int>(i);
  }
  return 0;
}

void Stage::reset() {
  for (auto& counter : counters_) {
    counter.entered = 0;
    counter.returned = 0;
  }
  current_ = -1;
}

void Stage::enter(const char* call) {
  const int index = index_of(call);
  since_ = std::chrono::steady_clock::now().time_since_epoch().count();
  current_ = index;
  ++counters_[index].entered;
}

void Stage::leave() {
  const int index = current_;
  current_ = -1;
  if (index >= 0) ++counters_[index].returned;
}

int Stage::entered(const char* call) const {
  return counters_[index_of(call)].entered;
}

int Stage::returned(const char* call) const {
  return counters_[index_of(call)].returned;
}

std::chrono::steady_clock::duration Stage::pending_for() const {
  using Clock = std::chrono::steady_clock;
  if (current_ < 0) return {};
  return Clock::now() - Clock::time_point{Clock::duration{since_}};
}

std::string Stage::pending() const {
  const int index = current_;
  return index < 0 ? std::string{} : std::string{kCalls.at(static_cast<std::size_t>(index))} + "()";
}

}  // namespace cloud
