// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/job/record_store.hpp"

namespace cloud {

/// How long each of the keeper's steps took, for `cloudctl trace`. Kept in memory and brought into
/// the job's record where that costs the machine no time; never a reason to fail.
class StageLog {
 public:
  StageLog(RecordStore store, std::uint64_t job_id);

  /// Runs a step that returns a Result and notes how it ended.
  template <typename Step>
  auto run(const std::string& name, Step&& step) {
    begin(name);
    auto result = std::forward<Step>(step)();
    end(result ? StageState::done : StageState::failed, result ? "" : result.error().message);
    return result;
  }
  /// A moment rather than a step.
  void mark(const std::string& name);
  /// Puts what is known so far into the record. Where an epilog holds or has ended it, nothing
  /// happens: nobody is going to read it.
  void save() const;

 private:
  void begin(const std::string& name);
  void end(StageState state, const std::string& message);

  RecordStore store_;
  std::uint64_t job_id_;
  std::vector<StageTrace> stages_;
};

}  // namespace cloud
