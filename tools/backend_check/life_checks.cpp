// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tools/backend_check/check.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

// A machine that has only begun to boot hears no request to shut down.
constexpr auto kStop = 1s;

using Strings = std::vector<std::string>;

Result<cloud_machine_info> info_of(Subject& subject, const Trial& trial) {
  cloud_machine_info info{};
  if (auto done = must(subject.info(trial.ref(), info)); !done) return std::move(done).error();
  return info;
}

Result<void> require_running(Subject& subject, const Trial& trial, bool runs, const char* when) {
  const auto info = info_of(subject, trial);
  if (!info) return info.error();
  if (info->state < CLOUD_ABSENT || info->state > CLOUD_STOPPING) {
    return wrong("info() made up the state " + std::to_string(info->state));
  }
  const bool is_running = info->state == CLOUD_RUNNING;
  const bool may_run = is_running || info->state == CLOUD_STARTING;
  if (runs ? is_running : !may_run) return {};
  constexpr const char* kStates[] = {"CLOUD_ABSENT", "CLOUD_PREPARED", "CLOUD_STARTING",
                                     "CLOUD_RUNNING", "CLOUD_STOPPING"};
  return wrong(std::string{"info() says "} + kStates[info->state] + " " + when);
}

Result<void> stop(Subject& subject, const Trial& trial) {
  return must(subject.stop(trial.ref(), in(kStop)));
}

Verdict probe(Bench& bench) {
  const auto done = in_worker(Role::hook, "", [&]() -> Result<std::string> {
    auto subject = Subject::opened(bench.target);
    if (!subject) return std::move(subject).error();
    if (auto probed = must(subject->probe()); !probed) return std::move(probed).error();
    subject->close();
    return std::string{};
  });
  return done ? Verdict{} : Verdict{done.error()};
}

Verdict life_cycle(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->prepare(subject); !done) return std::move(done).error();
    auto state = require_running(subject, *trial, false, "after prepare()");
    if (!state) return std::move(state).error();
    if (auto done = trial->start(subject); !done) return std::move(done).error();
    auto ready = must(subject.wait_ready(trial->ref(), far_deadline(bench)));
    if (!ready) return std::move(ready).error();
    state = require_running(subject, *trial, true, "after wait_ready()");
    if (!state) return std::move(state).error();
    if (auto done = stop(subject, *trial); !done) return std::move(done).error();
    state = require_running(subject, *trial, false, "after stop()");
    if (!state) return std::move(state).error();
    if (auto done = trial->destroy(subject); !done) return std::move(done).error();
    return std::string{};
  });
  if (!lived) return lived.error();
  return trial->look();
}

Verdict other_process(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  using Step = std::function<Result<void>(Subject&)>;
  const auto step = [&](bool keeper, const Step& call) -> Result<void> {
    const Trial::Body body = [&](Subject& subject) -> Result<std::string> {
      if (auto done = call(subject); !done) return std::move(done).error();
      return std::string{};
    };
    const auto done = keeper ? trial->as_keeper(body) : trial->as_hook(body);
    return done ? Result<void>{} : Result<void>{done.error()};
  };
  auto good = step(false, [&](Subject& subject) { return trial->prepare(subject); });
  if (good) good = step(true, [&](Subject& subject) { return trial->start(subject); });
  if (good) {
    good = step(false, [&](Subject& subject) {
      return must(subject.wait_ready(trial->ref(), far_deadline(bench)));
    });
  }
  if (good) {
    good = step(false, [&](Subject& subject) {
      return require_running(subject, *trial, true, "in a process that did not start it");
    });
  }
  if (good) good = step(false, [&](Subject& subject) { return stop(subject, *trial); });
  if (!good) return good;
  return trial->destroy_and_look();
}

Verdict destroys_running(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->bring_up(subject); !done) return std::move(done).error();
    if (auto done = trial->destroy(subject); !done) return std::move(done).error();
    return std::string{};
  });
  if (!lived) return lived.error();
  return trial->look();
}

Verdict twice(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->bring_up(subject); !done) return std::move(done).error();
    const auto again = trial->start(subject, far_deadline(bench));
    if (again.code != CLOUD_E_NODE) {
      return wrong("a second time, CLOUD_E_NODE was due: " + again.text());
    }
    auto state = require_running(subject, *trial, true, "after a second start() was refused");
    if (!state) return std::move(state).error();
    for (const auto* time : {"the first time", "a second time"}) {
      if (auto done = stop(subject, *trial); !done) return std::move(done).error().within(time);
    }
    for (const auto* time : {"the first time", "a second time"}) {
      if (auto done = trial->destroy(subject); !done) return std::move(done).error().within(time);
    }
    return std::string{};
  });
  if (!lived) return lived.error();
  return trial->look();
}

Verdict unknown_machine(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto asked = trial->as_hook([&](Subject& subject) -> Result<std::string> {
    cloud_machine_info info{};
    const auto answer = subject.info(trial->ref(), info);
    const bool says_absent = answer.is_ok() && info.state <= CLOUD_PREPARED;
    if (!says_absent && answer.code != CLOUD_E_NOT_FOUND) {
      return wrong("info() of a machine that never was: state " + std::to_string(info.state) +
                   ", " + answer.text());
    }
    if (subject.wait_ready(trial->ref(), in(std::chrono::seconds{2})).is_ok()) {
      return wrong("wait_ready() of a machine that never was answered CLOUD_OK");
    }
    if (auto done = stop(subject, *trial); !done) return std::move(done).error();
    if (auto done = trial->destroy(subject); !done) return std::move(done).error();
    // The record of a job whose machine was never started names no group.
    auto ref = trial->ref();
    ref.cgroup.clear();
    if (auto done = must(subject.destroy(ref, far_deadline(bench))); !done) {
      return std::move(done).error().within("without a cgroup");
    }
    return std::string{};
  });
  if (!asked) return asked.error();
  return trial->look();
}

Verdict list(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto names_it = [&](Subject& subject) -> Result<std::string> {
    Strings names;
    if (auto done = must(subject.list(names)); !done) return std::move(done).error();
    const auto count = std::count(names.begin(), names.end(), trial->spec.name);
    if (count != 1)
      return wrong("list() names a running machine " + std::to_string(count) + " times");
    return std::string{};
  };
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->bring_up(subject); !done) return std::move(done).error();
    return names_it(subject);
  });
  if (!lived) return lived.error();
  const auto seen = trial->as_hook(names_it);
  if (!seen) return Error{seen.error()}.within("in a fresh process");
  return trial->destroy_and_look();
}

}  // namespace

std::vector<Check> life_checks() {
  return {
      {"probe", "probe() says that this node can run machines", probe},
      {"life_cycle", "a machine is prepared, started, ready, stopped and destroyed", life_cycle},
      {"other_process", "each call works in a process of its own", other_process},
      {"destroys_running", "destroy() ends a machine that runs", destroys_running},
      {"twice", "start, stop and destroy can be called twice", twice},
      {"unknown_machine", "what never was is not ready; its stop and destroy do nothing",
       unknown_machine},
      {"list", "list() finds what runs, also from a fresh process", list}};
}

}  // namespace cloud
