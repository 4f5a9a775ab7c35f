// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/error.hpp"

namespace cloud {

/// Where the records of the jobs with a machine are, known without the configuration that says so:
/// it may be unreadable, or name another folder, when a job ends. Links below CLOUD_RUN_DIR, the
/// folder that the package was built for, one a job, which root alone can list; so they are gone
/// after a reboot, when `cloudctl reconcile` looks after what is left.
class JobLocator {
 public:
  /// Of one configuration file and node: several slurmd of a host may use other ones.
  JobLocator(const std::string& config_file, const std::string& node);

  [[nodiscard]] Result<void> remember(std::uint64_t job_id, const std::string& job_path) const;
  /// The job's folder, where it is there.
  [[nodiscard]] std::optional<std::string> find(std::uint64_t job_id) const;
  void forget(std::uint64_t job_id) const;

  /// Where records and published states were when the configuration was last good.
  struct Folders {
    std::string state_dir, run_dir;
  };
  void remember_folders(const Folders& folders) const;
  [[nodiscard]] std::optional<Folders> last_folders() const;

 private:
  [[nodiscard]] std::string link(std::uint64_t job_id) const;
  /// Where releases before 0.2 had it: jobs may run on while the node is upgraded.
  [[nodiscard]] std::string earlier_link(std::uint64_t job_id) const;
  [[nodiscard]] Result<void> make_folder() const;

  std::string folder_;
};

}  // namespace cloud
