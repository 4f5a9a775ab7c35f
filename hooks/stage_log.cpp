// SPDX-License-Identifier: Apache-2.0
#include "hooks/stage_log.hpp"

#include "core/log.hpp"
#include "core/stage/session.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr const char* kList = "keeper";
// An epilog that has the lock waits for us.
constexpr auto kLockWait = 100ms;

}  // namespace

StageLog::StageLog(RecordStore store, std::uint64_t job_id)
    : store_{std::move(store)}, job_id_{job_id} {}

void StageLog::begin(const std::string& name) {
  stages_.push_back({kList, name, StageState::begun, now_us(), 0, ""});
}

void StageLog::end(StageState state, const std::string& message) {
  auto& stage = stages_.back();
  stage.state = state;
  stage.ended_us = now_us();
  stage.message = message;
}

void StageLog::mark(const std::string& name) {
  begin(name);
  end(StageState::done, "");
}

void StageLog::save() const {
  const auto locked = store_.lock(job_id_, kLockWait);
  if (!locked || !*locked) return;
  auto record = (*locked)->load();
  if (!record || !*record || (**record).phase != RecordPhase::started) return;
  auto& known = (**record).stages;
  std::erase_if(known, [](const StageTrace& stage) { return stage.list == kList; });
  known.insert(known.end(), stages_.begin(), stages_.end());
  if (auto saved = (*locked)->save(**record); !saved) {
    log_line(LogLevel::warn, "the stages are not traced: " + saved.error().message);
  }
}

}  // namespace cloud
