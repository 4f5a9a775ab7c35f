// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <set>
#include <string>

namespace cloud {

/// What of a node a machine may leave changed: processes, mounts, network interfaces, loop devices,
/// and files and cgroups that carry its name. Taken before a machine is made.
class Remains {
 public:
  /// `machine`: its name, which nothing else on the node carries; `work_dir` is the engine's to
  /// remove; `neighbours` is a folder where nothing new shall be, besides the work directory.
  Remains(std::string machine, std::string work_dir, std::string neighbours);

  /// What is there now and was not before, on one line; "" where there is nothing. Waits a moment
  /// for what the kernel and daemons take away by themselves.
  [[nodiscard]] std::string left(std::chrono::seconds patience) const;

 private:
  using Names = std::set<std::string>;
  struct Picture {
    Names mounts, interfaces, loops, neighbours;
  };
  [[nodiscard]] Picture picture() const;
  [[nodiscard]] std::string left_now() const;
  [[nodiscard]] std::string left_processes() const;
  [[nodiscard]] std::string left_files() const;

  std::string machine_;
  std::string work_dir_;
  std::string neighbours_;
  Picture before_;
};

}  // namespace cloud
