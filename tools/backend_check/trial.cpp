// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/trial.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/job/cgroup.hpp"
#include "core/job/cgroup_processes.hpp"
#include "core/machine/machine_keys.hpp"
#include "core/system/atomic_file.hpp"
#include "tools/backend_check/verdict.hpp"

namespace cloud {
namespace {

// What ends by itself right after destroy() may do so.
constexpr std::chrono::seconds kPatience{2};

}  // namespace

Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

Deadline far_deadline(const Bench& bench) {
  return in(bench.boot_limit);
}

Trial::Trial(Bench& bench, MachineSpec made)
    : spec{made},
      bench_{&bench},
      original_{std::move(made)},
      remains_{std::make_shared<Remains>(original_.name, original_.work_dir,
                                         bench.site->machines_dir())} {}

Result<Trial> Trial::begin(Bench& bench) {
  auto spec = bench.site->new_machine();
  if (!spec) return std::move(spec).error();
  Trial trial{bench, *std::move(spec)};
  if (bench.has(CLOUD_CAP_SSH)) {
    if (auto given = trial.give_keys(false); !given) return std::move(given).error();
  }
  return trial;
}

Result<void> Trial::give_keys(bool own) {
  if (!own && bench_->keys) {
    spec.ssh = bench_->keys;
    return {};
  }
  const auto scratch = bench_->site->run_dir() + "/" + spec.name + ".keys";
  for (const auto& folder : {scratch, ssh_dir()}) {
    if (auto made = make_directories(folder, folder == scratch ? 0700 : 0755); !made) return made;
  }
  auto honest = spec;
  honest.work_dir = original_.work_dir;
  auto keys = make_machine_keys(scratch, ssh_dir(), honest);
  if (!keys) return std::move(keys).error();
  spec.ssh = *keys;
  bench_->keys = *std::move(keys);
  return {};
}

std::string Trial::ssh_dir() const {
  return bench_->site->run_dir() + "/" + original_.name;
}

Result<Worker> Trial::start_worker(Role role, const Body& body) const {
  return Worker::start(role, original_.cgroup, [&]() -> Result<std::string> {
    auto subject = Subject::opened(bench_->target);
    if (!subject) return std::move(subject).error();
    auto result = body(*subject);
    subject->close();
    return result;
  });
}

Result<std::string> Trial::as_keeper(const Body& body) const {
  auto worker = start_worker(Role::keeper, body);
  if (!worker) return std::move(worker).error();
  return worker->wait();
}

Result<std::string> Trial::as_hook(const Body& body) const {
  auto worker = start_worker(Role::hook, body);
  if (!worker) return std::move(worker).error();
  return worker->wait();
}

Result<void> Trial::prepare(Subject& subject) const {
  return must(subject.prepare(spec));
}

Answer Trial::start(Subject& subject, Deadline deadline) const {
  auto complete = spec;
  const auto opened = Site::open_mounts(complete, original_);
  if (!opened) {
    Answer answer;
    answer.call = "(open the mounts before) start";
    answer.message = opened.error().message;
    return answer;
  }
  return subject.start(complete, deadline);
}

Result<void> Trial::start(Subject& subject) const {
  return must(start(subject, far_deadline(*bench_)));
}

Result<void> Trial::bring_up(Subject& subject) const {
  if (auto done = prepare(subject); !done) return done;
  if (auto done = start(subject); !done) return done;
  return must(subject.wait_ready(ref(), far_deadline(*bench_)));
}

Result<void> Trial::destroy(Subject& subject) const {
  return must(subject.destroy(ref(), far_deadline(*bench_)));
}

std::vector<ProcessEntry> Trial::processes(const cloud_machine_info& info) const {
  const auto all = all_processes();
  auto found = descendants_of(::getppid(), all);
  auto first = cgroup_processes(original_.cgroup);
  for (const auto pid : {info.init_pid, info.main_pid}) {
    if (pid > 0) first.push_back(static_cast<pid_t>(pid));
  }
  for (const auto pid : first) {
    for (const auto& process : all) {
      if (process.pid == pid) found.push_back(process);
    }
    const auto below = descendants_of(pid, all);
    found.insert(found.end(), below.begin(), below.end());
  }
  for (const auto& process : all) {
    if (process.command.find(original_.name) != std::string::npos) found.push_back(process);
  }
  std::erase_if(found, [](const ProcessEntry& process) {
    return process.pid == ::getpid() || process.is_zombie;
  });
  return found;
}

Result<void> Trial::destroy_and_look() {
  const auto destroyed = as_hook([&](Subject& subject) -> Result<std::string> {
    if (auto done = destroy(subject); !done) return std::move(done).error();
    return std::string{};
  });
  if (!destroyed) return destroyed.error();
  return look();
}

Result<void> Trial::look() {
  const auto listed = as_hook([&](Subject& subject) -> Result<std::string> {
    const auto end = in(kPatience * bench().slowness);
    for (;;) {
      std::vector<std::string> names;
      if (auto done = must(subject.list(names)); !done) return std::move(done).error();
      if (std::find(names.begin(), names.end(), original_.name) == names.end())
        return std::string{"no"};
      if (std::chrono::steady_clock::now() > end) return std::string{"yes"};
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  });
  if (!listed) return listed.error();
  auto left = remains_->left(kPatience * bench().slowness);
  if (left.empty()) {
    const auto processes = cgroup_processes(original_.cgroup);
    if (!processes.empty()) left = std::to_string(processes.size()) + " processes in its cgroup";
  }
  // Whoever comes next shall not find it.
  if (!left.empty()) kill_descendants();
  if (auto removed = bench_->site->remove_machine(original_); !removed) {
    return wrong("after destroy() its folder cannot be removed: " + removed.error().message);
  }
  if (!left.empty()) return wrong("after destroy() there is left: " + left);
  if (*listed == "yes") return wrong("list() still names a destroyed machine");
  return {};
}

}  // namespace cloud
