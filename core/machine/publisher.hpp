// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/published_state.hpp"
#include "core/job/record.hpp"

namespace cloud {

/// Writes what the job's user may read of the job's machine: state, access and log in a folder that
/// only root can change.
class Publisher {
 public:
  Publisher(const SiteConfig& config, const JobRecord& record);

  [[nodiscard]] PublishedState& state() noexcept { return state_; }
  [[nodiscard]] const std::string& dir() const noexcept { return dir_; }
  /// Makes the folder where it is missing and replaces the state file.
  [[nodiscard]] Result<void> publish() const;
  /// Writes the script that takes the user into the machine.
  [[nodiscard]] Result<void> write_access_script() const;
  /// Appends a line with the time to the log.
  void log(const std::string& line) const;
  [[nodiscard]] Result<void> remove() const;

 private:
  std::string dir_;
  std::uint32_t uid_;
  std::uint32_t gid_;
  PublishedState state_;
};

}  // namespace cloud
