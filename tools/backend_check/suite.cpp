// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/suite.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string_view>
#include <utility>

#include "core/backend/one_line.hpp"
#include "core/job/cgroup.hpp"
#include "core/job/cgroup_processes.hpp"
#include "tools/backend_check/process_tree.hpp"
#include "tools/backend_check/stage.hpp"
#include "tools/backend_check/worker.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kCleanUpLimit = 30s;
constexpr std::size_t kReasonMax = 600;

volatile sig_atomic_t ending_signal = 0;

// JUSTIFICATION: only sets a flag; the run ends in order and leaves nothing.
void end_run(int number) {
  ending_signal = number;
}

void say_result(std::size_t number, const Check& check, const Verdict& verdict) {
  const auto reason = one_line(verdict.reason.c_str(), kReasonMax);
  const bool failed = verdict.kind == Verdict::Kind::failed;
  std::printf("%s %zu - %s: %s", failed ? "not ok" : "ok", number, check.name, check.promise);
  if (verdict.kind == Verdict::Kind::skipped) std::printf(" # SKIP %s", reason.c_str());
  std::printf("\n");
  if (failed) std::printf("# %s\n", reason.c_str());
  std::fflush(stdout);
}

std::string to_text(const Verdict& verdict) {
  return std::to_string(static_cast<int>(verdict.kind)) + verdict.reason;
}

Verdict to_verdict(const std::string& text) {
  Verdict verdict;
  verdict.kind = static_cast<Verdict::Kind>(text.empty() ? 1 : text.front() - '0');
  if (!text.empty()) verdict.reason = text.substr(1);
  return verdict;
}

enum class End { ended, out_of_time, hangs, interrupted };

// A call is given a minute more than the longest deadline.
constexpr auto kCallSlack = 60s;

// Until the process ends, or there is a reason to end it.
End wait_for(pid_t pid, Clock::time_point limit, Clock::duration call_limit) {
  const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  while (ending_signal == 0) {
    pollfd wanted{process.value(), POLLIN, 0};
    if (::poll(&wanted, 1, 100) == 1) return End::ended;
    if (Clock::now() >= limit) return End::out_of_time;
    if (Stage::instance().pending_for() > call_limit) return End::hangs;
  }
  return End::interrupted;
}

std::string in_seconds(Clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

void end_runs_by_signals() {
  struct sigaction action {};
  action.sa_handler = end_run;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::sigaction(number, &action, nullptr);
}

Suite::Suite(Bench bench, std::vector<Check> checks, std::chrono::seconds limit)
    : bench_{std::move(bench)}, checks_{std::move(checks)}, limit_{limit} {}

Result<void> Suite::begin() {
  // What a backend leaves running becomes a child of ours, and is seen.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (!bench_.site) return {};
  end_orphans();
  return bench_.site->take_address(bench_.target);
}

int Suite::run() {
  bool all_good = true;
  bool is_loaded = true;
  std::printf("TAP version 13\n1..%zu\n", checks_.size());
  std::fflush(stdout);
  for (std::size_t i = 0; i < checks_.size() && ending_signal == 0; ++i) {
    if (bench_.site) bench_.site->begin_check(i + 1);
    const auto verdict = is_loaded ? run_one(checks_[i]) : Verdict::skip("it is not loaded");
    if (ending_signal != 0) break;
    say_result(i + 1, checks_[i], verdict);
    const bool failed = verdict.kind == Verdict::Kind::failed;
    all_good = all_good && !failed;
    if (failed && std::string_view{"loads"} == checks_[i].name) is_loaded = false;
    clean_up();
  }
  if (ending_signal != 0) std::printf("Bail out! signal %d\n", static_cast<int>(ending_signal));
  tear_down();
  return ending_signal != 0 ? 128 + ending_signal : all_good ? 0 : 1;
}

// A run that was killed could not clean up after itself.
void Suite::end_orphans() {
  for (const auto& orphan : bench_.site->orphans(bench_.target)) {
    std::fprintf(stderr, "cloud-backend-check: cleaning up %s, as its run was killed\n",
                 orphan->base().c_str());
    auto left = remove_machines(*orphan);
    // What could not be removed is kept, for who looks after it.
    if (left.empty()) left = orphan->tear_down();
    if (!left.empty()) {
      std::fprintf(stderr, "cloud-backend-check: %s\n", one_line(left.c_str(), kReasonMax).c_str());
    }
  }
}

// Also where an exception ends the run: a node of a site shall not pay for a fault of ours.
Suite::~Suite() {
  try {
    tear_down();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "cloud-backend-check: %s\n", problem.what());
  }
}

void Suite::tear_down() {
  clean_up();
  if (!bench_.site) return;
  if (const auto left = bench_.site->tear_down(); !left.empty()) {
    std::printf("# the run's own: %s\n", one_line(left.c_str(), kReasonMax).c_str());
  }
  bench_.site.reset();
}

Verdict Suite::run_one(const Check& check) {
  Stage::instance().reset();
  // The check's own process calls nothing of the backend's either, but it makes those that do.
  auto process = Worker::start(Role::hook, "", [&]() -> Result<std::string> {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    return to_text(check.run(bench_));
  });
  if (!process) return std::move(process).error();
  const auto call_limit = std::max<std::chrono::seconds>(bench_.boot_limit, 30s) + kCallSlack;
  const auto end = wait_for(process->pid(), Clock::now() + limit_, call_limit);
  if (end == End::ended) {
    const auto text = process->wait();
    return text ? to_verdict(*text) : Verdict{text.error()};
  }
  const auto call = Stage::instance().pending();
  process->kill(true);
  if (end == End::hangs) return wrong(call + " hangs: no answer for " + in_seconds(call_limit));
  return wrong("it did not end within " + in_seconds(limit_) +
               (call.empty() ? "" : ": it was in " + call));
}

// After a check that has failed, machines may be left; the next one shall not find them.
void Suite::clean_up() {
  kill_descendants();
  if (bench_.site) (void)remove_machines(*bench_.site);
}

std::string Suite::remove_machines(const Site& site) {
  std::string problem;
  for (const auto& ref : site.left_machines()) {
    const auto destroyed = destroy(ref);
    if (!destroyed.empty() && problem.empty()) problem = ref.name + ": " + destroyed;
    (void)kill_cgroup(ref.cgroup, 5s);
    kill_descendants();
    if (&site != bench_.site.get() && !destroyed.empty()) continue;
    MachineSpec spec;
    spec.name = ref.name;
    spec.work_dir = ref.work_dir;
    spec.cgroup = ref.cgroup;
    (void)site.remove_machine(spec);
  }
  return problem;
}

// In a process of its own, with a limit; what it could not do, or "".
std::string Suite::destroy(const MachineRef& ref) {
  auto cleaner = Worker::start(Role::hook, "", [&]() -> Result<std::string> {
    auto subject = Subject::opened(bench_.target);
    if (!subject) return std::move(subject).error();
    auto done = must(subject->destroy(ref, Clock::now() + kCleanUpLimit));
    if (!done) return std::move(done).error();
    return std::string{};
  });
  if (!cleaner) return cleaner.error().message;
  const UniqueFd ended{static_cast<int>(::syscall(SYS_pidfd_open, cleaner->pid(), 0))};
  const auto limit = Clock::now() + kCleanUpLimit;
  pollfd wanted{ended.value(), POLLIN, 0};
  while (Clock::now() < limit) {
    if (::poll(&wanted, 1, 100) != 1) continue;
    const auto answer = cleaner->wait();
    return answer ? std::string{} : answer.error().message;
  }
  cleaner->kill(true);
  return "destroy() hangs";
}

}  // namespace cloud
