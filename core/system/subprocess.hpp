// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// Who a program runs as; by default who we are.
struct Credentials {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  /// One that it joins, borrowed: the ids are those of that user namespace then, and whoever has
  /// them outside can neither trace the program nor take its descriptors.
  int user_namespace = -1;
};

struct Command {
  std::vector<std::string> argv;              ///< argv[0] is an absolute path; never a shell
  std::vector<std::string> environment = {};  ///< "KEY=value"
  std::string working_directory = "/";
  /// stdout and stderr are appended here (made 0600); "" means /dev/null. Not with `user`: a file
  /// of root's is never open in a process of somebody else's.
  std::string output_file = {};
  bool keeps_output = false;  ///< the end of stdout and stderr is in the outcome
  std::chrono::milliseconds timeout{60'000};
  std::function<bool()> cancelled = {};  ///< polled; may be empty
  bool leaves_daemon = false;            ///< it ends when a process that it made shall live on
  /// Whether its whole group is killed when we are, by whatever signal, and not the program alone.
  bool dies_with_us = false;
  std::optional<Credentials> user = {};
};

struct Outcome {
  enum class Kind { exited, signalled, timed_out, cancelled } kind = Kind::exited;
  int code = 0;             ///< exit status or signal number
  std::string output = {};  ///< with keeps_output, the last kOutputKept bytes
};

inline constexpr std::size_t kOutputKept = 4096;

/// Runs a program in a process group of its own with stdin on /dev/null and all other descriptors
/// closed, and waits for it. When it ends, what is left of its group is killed, as slurmd does with
/// a prolog's: a daemon has to leave the group (setsid), and may keep its stdout open: nobody waits
/// for the end of it, and of a pipe for `keeps_output` nobody is left to read. Where the program
/// ends before its daemon has left the group, as daemon(3) does it, `leaves_daemon` spares the
/// group. At the timeout, or when cancelled: SIGTERM, after 2 s SIGKILL, to the group; one that
/// does not even die then (it waits for a file system) is left behind after another 5 s. An Error
/// means that it could not be started.
[[nodiscard]] Result<Outcome> run(const Command& command);

}  // namespace cloud
