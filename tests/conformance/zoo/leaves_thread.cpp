// SPDX-License-Identifier: Apache-2.0
// A thread of its own goes on after close().
#include <thread>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void probe() {
    [[maybe_unused]] static const bool once = [] {
      std::thread{[] {
        for (;;) ::pause();
      }}.detach();
      return true;
    }();
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaves_thread", 0);
