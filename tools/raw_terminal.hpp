// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cloud {

/// The terminal of a descriptor in raw mode for as long as this lives: each key goes to who reads
/// it, Ctrl-C included. It is as it was before whenever this process ends or stops, by whatever
/// signal can be caught. One at a time.
class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
};

}  // namespace cloud
