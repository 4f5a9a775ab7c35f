// SPDX-License-Identifier: Apache-2.0
#include "core/stage/unfinished_ends.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <filesystem>
#include <string_view>

#include "core/log.hpp"
#include "core/stage/hooks.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/trash.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

// Of a hook's time, for jobs that are not its own: all of them, and one.
constexpr auto kForAll = 5s;
constexpr auto kForOne = 2s;
// Where processes do not die: every hook of a busy node would wait for them.
constexpr std::int64_t kPauseSeconds = 10;
constexpr std::uint32_t kUnknownRun = UINT32_MAX;
constexpr std::size_t kNoteMax = 64;  ///< bytes of a number

std::int64_t wall_seconds() {
  return std::time(nullptr);
}

void set_time(const std::string& file, std::int64_t seconds) {
  const timespec time{static_cast<time_t>(seconds), 0};
  const timespec times[] = {time, time};
  ::utimensat(AT_FDCWD, file.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

}  // namespace

std::string UnfinishedEnds::note(std::uint64_t job_id) const {
  return folder_ + "/" + std::to_string(job_id);
}

void UnfinishedEnds::begin(std::uint64_t job_id, std::uint32_t restart_count) const {
  if (const auto noted = run_of(job_id); noted && *noted >= restart_count) return;
  if (!make_directories(folder_, 0700)) return;
  AtomicWrite how;
  how.durable = false;
  // Who was killed in the middle has not tried in vain.
  if (write_file(note(job_id), std::to_string(restart_count), how)) set_time(note(job_id), 0);
}

void UnfinishedEnds::finish(std::uint64_t job_id, std::uint32_t restart_count) const {
  const auto noted = run_of(job_id);
  if (noted && (*noted <= restart_count || *noted == kUnknownRun)) forget(job_id);
}

void UnfinishedEnds::forget(std::uint64_t job_id) const {
  ::unlink(note(job_id).c_str());
}

std::optional<std::uint32_t> UnfinishedEnds::run_of(std::uint64_t job_id) const {
  const auto text = read_file(note(job_id), kNoteMax);
  if (!text) return std::nullopt;
  std::uint32_t run = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), run);
  return problem == std::errc{} ? run : kUnknownRun;
}

void UnfinishedEnds::note_attempt(std::uint64_t job_id) const {
  set_time(note(job_id), wall_seconds());
}

std::vector<std::uint64_t> UnfinishedEnds::due() const {
  std::vector<std::uint64_t> jobs;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator{folder_, problem}) {
    const auto name = entry.path().filename().string();
    std::uint64_t job_id = 0;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), job_id);
    if (failure != std::errc{} || end != name.data() + name.size()) continue;
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) != 0) continue;
    // Also a note of the future is one of long ago: somebody has set the clock.
    const auto age = std::abs(wall_seconds() - static_cast<std::int64_t>(status.st_mtime));
    if (age >= kPauseSeconds) jobs.push_back(job_id);
  }
  return jobs;
}

void finish_what_is_left(const LoadedConfig& loaded, const std::string& node, std::uint64_t own) {
  const RecordStore store{loaded.config.state_dir, node};
  TimeBudget budget{kForAll};
  for (const auto job_id : UnfinishedEnds{store}.due()) {
    if (job_id == own) continue;
    if (budget.is_spent()) break;
    finish_end(loaded, node, job_id, budget.share(kForOne));
  }
  tend_trash(store.trash_dir());
}

}  // namespace cloud
