// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/published_state.hpp"
#include "core/job/record.hpp"

namespace cloud {

/// Writes what the job's user may read of the job's machine: state, access and log, in a folder
/// that nobody else can look into. Folder and files are root's: a user who could change them would
/// have a say in what root and other programs read and run, and room in a file system that the node
/// needs.
class Publisher {
 public:
  Publisher(const SiteConfig& config, const JobRecord& record);

  [[nodiscard]] PublishedState& state() noexcept { return state_; }
  [[nodiscard]] const std::string& dir() const noexcept { return dir_; }
  /// Makes the folder and `access` where they are missing, and replaces the state file. `access`
  /// takes the user into the machine: a link to `enter`, which finds the state beside the name that
  /// it was called by.
  [[nodiscard]] Result<void> publish() const;
  /// Appends a line with the time to the log.
  void log(const std::string& line) const;
  [[nodiscard]] Result<void> remove() const;

 private:
  [[nodiscard]] Result<void> make_folder() const;
  [[nodiscard]] Result<void> make_access() const;

  std::string dir_;
  std::uint32_t uid_;
  PublishedState state_;
};

}  // namespace cloud
