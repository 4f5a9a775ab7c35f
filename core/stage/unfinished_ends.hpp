// SPDX-License-Identifier: Apache-2.0
//
// Ends of jobs that an epilog began and did not finish: it was killed, or something could not be
// ended or removed then. Each is noted in `<state_dir>/<node>/unfinished/<job>`, with the job's
// restart count, as the first thing that an epilog does, and whatever hook comes next on the node,
// for whichever job, goes on with it. A next run of the job is not ended with the run before: its
// prolog removes the note, and its record has a higher count.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record_store.hpp"

namespace cloud {

class UnfinishedEnds {
 public:
  explicit UnfinishedEnds(const RecordStore& store) : folder_{store.unfinished_dir()} {}

  /// Notes that the end of the job's run `restart_count` has begun; a note of a later run stays.
  /// One that cannot be made costs the job nothing: `cloudctl reconcile` finds it all the same.
  void begin(std::uint64_t job_id, std::uint32_t restart_count) const;
  /// Nothing is left to do of that run and those before it; a note of a later run stays.
  void finish(std::uint64_t job_id, std::uint32_t restart_count) const;
  /// A next run of the job has begun: whatever is noted is not its end.
  void forget(std::uint64_t job_id) const;
  /// The run whose end was begun, or nothing where there is no note. Of a note
  /// that cannot be read (a crash, an earlier build) the highest number that there is.
  [[nodiscard]] std::optional<std::uint32_t> run_of(std::uint64_t job_id) const;
  /// What could not be finished is not tried again at once.
  void note_attempt(std::uint64_t job_id) const;
  /// The jobs that it is time to try again, as far as time of day tells, which may have been set.
  /// One failed open(2) or an empty readdir(3) where there are none.
  [[nodiscard]] std::vector<std::uint64_t> due() const;

 private:
  [[nodiscard]] std::string note(std::uint64_t job_id) const;

  std::string folder_;
};

/// In a few seconds at most, what earlier hooks have left on the node: ends of other jobs than
/// `own`, and the trash.
void finish_what_is_left(const LoadedConfig& loaded, const std::string& node, std::uint64_t own);

}  // namespace cloud
