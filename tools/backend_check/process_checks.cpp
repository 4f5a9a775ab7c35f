// SPDX-License-Identifier: Apache-2.0
//
// What a backend does to the process that calls it, and where its own processes are.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/job/cgroup_hierarchy.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/footprint.hpp"
#include "tools/backend_check/printed.hpp"
#include "tools/backend_check/process_tree.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// A machine that has only begun to boot hears no request to shut down.
constexpr auto kStop = 1s;
constexpr int kWarmUp = 20;
constexpr int kCycles = 100;
constexpr std::size_t kHeapPerHundred = 16 << 10;  ///< bytes that 100 cycles may keep
// What malloc keeps in its caches looks as if it were in use.
constexpr std::size_t kHeapOfCaches = 16 << 10;
constexpr std::size_t kHeapPerMachine = 256;
constexpr std::size_t kResident = 4 << 20;

Verdict footprint(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = in_worker(Role::keeper, trial->spec.cgroup, [&]() -> Result<std::string> {
    const Printed printed;
    auto subject = Subject::load(bench.target);
    if (!subject) return std::move(subject).error();
    const auto before = Footprint::now();
    const auto look = [&](const std::string& name) -> Result<void> {
      const auto changed = before.difference(Footprint::now());
      if (!changed.empty()) return wrong(name + "(): " + changed);
      const auto text = printed.text();
      if (!text.empty()) return wrong(name + "(): it printed '" + text + "'");
      return {};
    };
    const auto call = [&](const char* name, const Answer& answer) -> Result<void> {
      auto good = must(answer);
      return good ? look(name) : good;
    };
    const auto ref = trial->ref();
    cloud_machine_info info{};
    std::vector<std::string> names;
    auto good = call("open", subject->open());
    if (good) good = call("probe", subject->probe());
    if (good) good = call("prepare", subject->prepare(trial->spec));
    if (good) good = call("start", trial->start(*subject, far_deadline(bench)));
    UniqueFd stream;
    if (good && bench.has(CLOUD_CAP_CONSOLE)) {
      good = call("console", subject->console(ref, stream));
    }
    if (good) good = call("wait_ready", subject->wait_ready(ref, far_deadline(bench)));
    if (good) good = call("info", subject->info(ref, info));
    if (good) good = call("list", subject->list(names));
    if (good) good = call("stop", subject->stop(ref, in(kStop)));
    if (good) good = call("destroy", subject->destroy(ref, far_deadline(bench)));
    subject->close();
    if (good) good = look("close");
    if (!good) return std::move(good).error();
    const auto last = Footprint::now();
    if (const auto left = before.left_running(last); !left.empty()) {
      return wrong("after close(): " + left);
    }
    return std::string{};
  });
  if (!lived) return lived.error();
  return trial->look();
}

// The lines of /proc/PID/task/TID/cgroup of the hierarchies that count: those that have
// controllers.
std::string outside_of(const std::string& cgroup, const std::string& task) {
  const bool unified = is_unified(cgroup_hierarchies());
  std::ifstream file{task + "/cgroup"};
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const bool counts = controllers.empty() ? unified : !controllers.starts_with("name=");
    const auto path = line.substr(second + 1);
    const bool is_inside = path == cgroup || path.starts_with(cgroup + "/");
    if (counts && !is_inside) return (controllers.empty() ? "v2" : controllers) + ":" + path;
  }
  return {};
}

Result<void> require_inside(const Trial& trial, const ProcessEntry& process) {
  std::error_code problem;
  const auto tasks = "/proc/" + std::to_string(process.pid) + "/task";
  for (fs::directory_iterator at{tasks, problem}; !problem && at != fs::directory_iterator{};
       at.increment(problem)) {
    const auto outside = outside_of(trial.spec.cgroup, at->path().string());
    if (!outside.empty()) {
      return wrong("process " + describe(process) + " is in " + outside + " and not below " +
                   trial.spec.cgroup);
    }
  }
  return {};
}

Verdict cgroup(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->bring_up(subject); !done) return std::move(done).error();
    cloud_machine_info info{};
    if (auto done = must(subject.info(trial->ref(), info)); !done) return std::move(done).error();
    const auto machine = trial->processes(info);
    for (const auto& process : machine) {
      if (auto inside = require_inside(*trial, process); !inside) return std::move(inside).error();
    }
    if (auto done = trial->destroy(subject); !done) return std::move(done).error();
    return std::to_string(machine.size());
  });
  if (!lived) return lived.error();
  if (auto looked = trial->look(); !looked) return looked;
  return *lived == "0" ? Verdict::skip("its machines have no processes") : Verdict{};
}

std::string growth_between(const Consumption& before, const Consumption& after,
                           std::size_t heap_limit) {
  const auto more = [](std::size_t from, std::size_t to) { return to > from ? to - from : 0; };
  if (after.descriptors > before.descriptors) {
    return std::to_string(after.descriptors - before.descriptors) + " descriptors";
  }
  if (after.threads > before.threads) {
    return std::to_string(after.threads - before.threads) + " threads";
  }
  if (after.children > before.children) {
    return std::to_string(after.children - before.children) + " child processes";
  }
  if (const auto bytes = more(before.heap_bytes, after.heap_bytes); bytes > heap_limit) {
    return std::to_string(bytes) + " bytes of heap, and " + std::to_string(heap_limit) + " may be";
  }
  if (const auto bytes = more(before.resident_bytes, after.resident_bytes); bytes > kResident) {
    return std::to_string(bytes) + " bytes of memory, and " + std::to_string(kResident) + " may be";
  }
  return {};
}

Result<void> cheap_cycle(const Trial& trial) {
  auto subject = Subject::opened(trial.bench().target);
  if (!subject) return std::move(subject).error();
  std::vector<std::string> names;
  cloud_machine_info info{};
  auto good = must(subject->probe());
  if (good) good = must(subject->list(names));
  if (good) good = trial.prepare(*subject);
  if (good) good = must(subject->info(trial.ref(), info));
  if (good) good = trial.destroy(*subject);
  subject->close();
  if (good)
    good = remove_tree(trial.spec.work_dir, std::chrono::steady_clock::time_point::max(),
                       {trial.spec.subid_first, trial.spec.subid_count, trial.spec.user.uid});
  if (good) good = make_directories(trial.spec.work_dir, 0711);
  return good;
}

Verdict growth(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = in_worker(Role::hook, "", [&]() -> Result<std::string> {
    Consumption before;
    for (int i = 0; i < kWarmUp + kCycles; ++i) {
      if (i == kWarmUp) before = Consumption::now();
      if (auto done = cheap_cycle(*trial); !done) return std::move(done).error();
    }
    const auto grown = growth_between(before, Consumption::now(), kHeapPerHundred);
    if (!grown.empty()) {
      return wrong(std::to_string(kCycles) + " times open to close, and there are more: " + grown);
    }
    return std::string{};
  });
  if (!lived) return lived.error();
  return trial->look();
}

// Machines that run, one after the other in one process.
Verdict growth_running(Bench& bench) {
  std::vector<Trial> trials;
  for (int i = 0; i <= bench.cycles; ++i) {
    auto trial = Trial::begin(bench);
    if (!trial) return trial.error();
    trials.push_back(*std::move(trial));
  }
  const auto lived =
      in_worker(Role::keeper, trials.front().spec.cgroup, [&]() -> Result<std::string> {
        Consumption before;
        for (std::size_t i = 0; i < trials.size(); ++i) {
          if (i == 1) before = Consumption::now();
          auto subject = Subject::opened(bench.target);
          if (!subject) return std::move(subject).error();
          auto good = trials[i].bring_up(*subject);
          if (good) good = must(subject->stop(trials[i].ref(), in(kStop)));
          if (good) good = trials[i].destroy(*subject);
          subject->close();
          if (!good) return std::move(good).error();
        }
        const auto limit = kHeapOfCaches + kHeapPerMachine * static_cast<std::size_t>(bench.cycles);
        const auto grown = growth_between(before, Consumption::now(), limit);
        if (!grown.empty()) {
          return wrong(std::to_string(bench.cycles) + " machines, and there are more: " + grown);
        }
        return std::string{};
      });
  if (!lived) return lived.error();
  for (auto& trial : trials) {
    if (auto looked = trial.look(); !looked) return looked;
  }
  return {};
}

}  // namespace

std::vector<Check> process_checks() {
  return {{"footprint", "calls leave their process as it was", footprint},
          {"cgroup", "every process of a machine is in its cgroup", cgroup},
          {"growth", "100 cycles keep no memory and no descriptors", growth},
          {"growth_running", "machines keep no memory and no descriptors", growth_running}};
}

}  // namespace cloud
