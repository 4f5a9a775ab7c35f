// SPDX-License-Identifier: Apache-2.0
//
// Where job records live: `<state_dir>/<node>/jobs/<job>/record.json`, root only. The folder of a
// job is also its lock: who changes a record holds flock(2) on the folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/job/record.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// A job's folder, locked.
class LockedJob {
 public:
  LockedJob(std::string path, UniqueFd fd) : path_{std::move(path)}, fd_{std::move(fd)} {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// std::nullopt where there is no record yet; an Error where it cannot be read.
  [[nodiscard]] Result<std::optional<JobRecord>> load() const;
  /// Durable when it returns.
  [[nodiscard]] Result<void> save(const JobRecord& record) const;
  /// Keeps a copy of an unreadable record as `<jobs>/../quarantine/<job>-<time>.json` and removes
  /// it.
  [[nodiscard]] Result<void> quarantine() const;
  /// Removes the folder and what is in it, and with it the lock.
  [[nodiscard]] Result<void> forget() const;

 private:
  std::string path_;
  UniqueFd fd_;
};

class RecordStore {
 public:
  RecordStore(std::string state_dir, std::string node);

  [[nodiscard]] std::string job_path(std::uint64_t job_id) const;
  [[nodiscard]] std::string machines_dir() const;    ///< parent of the machines' work directories
  [[nodiscard]] std::string trash_dir() const;       ///< see core/system/trash.hpp
  [[nodiscard]] std::string unfinished_dir() const;  ///< see core/stage/unfinished_ends.hpp

  /// Makes the folder where there is none, and locks it. Blame::node after `wait`.
  [[nodiscard]] Result<LockedJob> lock_or_create(std::uint64_t job_id,
                                                 std::chrono::milliseconds wait) const;
  /// std::nullopt where the job has no folder.
  [[nodiscard]] Result<std::optional<LockedJob>> lock(std::uint64_t job_id,
                                                      std::chrono::milliseconds wait) const;
  /// Whether the job has a folder: one stat(2).
  [[nodiscard]] bool knows(std::uint64_t job_id) const;
  /// The jobs that have a folder, ascending.
  [[nodiscard]] std::vector<std::uint64_t> jobs() const;
  /// Without locking: a snapshot. std::nullopt where the job has no record yet, an Error where it
  /// cannot be read.
  [[nodiscard]] Result<std::optional<JobRecord>> peek(std::uint64_t job_id) const;
  /// When the job's folder last changed; the epoch where there is none.
  [[nodiscard]] std::chrono::system_clock::time_point changed(std::uint64_t job_id) const;
  /// The readable records, peeked at.
  [[nodiscard]] std::vector<JobRecord> records() const;
  /// records() of every node that keeps its state in this state_dir: more than one slurmd may serve
  /// a host.
  [[nodiscard]] std::vector<JobRecord> records_of_host() const;
  /// Held while a sub-id range is chosen and recorded.
  [[nodiscard]] Result<UniqueFd> lock_host(std::chrono::milliseconds wait) const;

 private:
  std::string state_dir_;
  std::string root_;  ///< <state_dir>/<node>
};

/// flock(2) with LOCK_EX, polled until `wait` has passed.
[[nodiscard]] Result<void> lock_exclusively(int fd, const std::string& what,
                                            std::chrono::milliseconds wait);

}  // namespace cloud
