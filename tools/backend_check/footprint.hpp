// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace cloud {

/// What a call into a backend shall leave in its process as it was.
class Footprint {
 public:
  [[nodiscard]] static Footprint now();

  /// "the umask was 0022 and is 0000": the first thing that differs, or "". Threads are left out:
  /// a backend may have some until close() returns.
  [[nodiscard]] std::string difference(const Footprint& later) const;
  /// The same for threads.
  [[nodiscard]] std::string left_running(const Footprint& later) const;

 private:
  struct Trait {
    std::string what;
    std::string value;
  };
  std::vector<Trait> traits_;
  std::size_t threads_ = 0;
};

/// What grows when it is not given back.
struct Consumption {
  std::size_t heap_bytes = 0;
  std::size_t resident_bytes = 0;
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t children = 0;

  [[nodiscard]] static Consumption now();
};

}  // namespace cloud
