// SPDX-License-Identifier: Apache-2.0
//
// A machine's console, from its first byte: a process of its own keeps the end of what was printed
// in `<dir>/console`, and hands the stream to whoever connects to `<dir>/console.sock`, which the
// job's user alone can. The process is neither the user's, who could take the file from it and fill
// the node's memory, nor root's, through which nothing passes that a machine prints: it has the id
// that serves the machine.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

inline constexpr std::uint64_t kConsoleMax = std::uint64_t{1} << 20;  ///< bytes of the file

[[nodiscard]] std::string console_file(const std::string& dir);
[[nodiscard]] std::string console_socket(const std::string& dir);

class ConsoleRelay {
 public:
  /// Starts the process with the uid and gid `id`. `console` is a stream of the backend's.
  [[nodiscard]] static Result<ConsoleRelay> start(const std::string& dir, const MachineUser& user,
                                                  std::uint32_t id, UniqueFd console);

  /// Bytes that the machine has printed so far.
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  /// Asks for what was printed at the end: the last line that is not blank, or "".
  [[nodiscard]] std::string last_line() const;

 private:
  struct Unmap {
    void operator()(std::uint64_t* counter) const noexcept;
  };

  std::string dir_;
  std::unique_ptr<std::uint64_t, Unmap> counter_;  ///< shared with the process
};

}  // namespace cloud
