// SPDX-License-Identifier: Apache-2.0
//
// kill -9 of whoever calls, at many points of each call; then destroy() in a fresh process leaves
// nothing. A killed keeper's cgroup is killed first and a hook's process group goes with it, as the
// epilog and slurmd do it.
#include <thread>

#include "core/job/cgroup.hpp"
#include "core/job/cgroup_processes.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/stage.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

enum class Call {
  open,
  probe,
  prepare,
  start,
  console,
  wait_ready,
  info,
  list,
  stop,
  destroy,
  close
};

const char* name_of(Call call) {
  constexpr const char* kNames[] = {"open", "probe", "prepare", "start",   "console", "wait_ready",
                                    "info", "list",  "stop",    "destroy", "close"};
  return kNames[static_cast<std::size_t>(call)];
}

// One that changes nothing of a machine: the machine outlives whoever asked.
bool is_question(Call call) {
  return call == Call::open || call == Call::probe || call == Call::info || call == Call::list ||
         call == Call::close;
}

Role caller_of(Call call) {
  const bool is_keepers = call == Call::start || call == Call::console || call == Call::wait_ready;
  return is_keepers ? Role::keeper : Role::hook;
}

// Everything before the call, in processes that live.
Result<void> lead_to(Call call, const Trial& trial) {
  const bool starts = call == Call::start || call == Call::console;
  const auto led = trial.as_keeper([&](Subject& subject) -> Result<std::string> {
    Result<void> done;
    if (call != Call::prepare) done = trial.prepare(subject);
    if (done && call != Call::prepare && !starts) done = trial.start(subject);
    if (done && (call == Call::stop || call == Call::destroy || is_question(call))) {
      done = must(subject.wait_ready(trial.ref(), far_deadline(trial.bench())));
    }
    if (!done) return std::move(done).error();
    return std::string{};
  });
  return led ? Result<void>{} : Result<void>{led.error()};
}

// What the caller itself has to do before: the engine asks for the console in the process that has
// started the machine.
Result<void> make_ready(Call call, const Trial& trial, Subject& subject) {
  if (call == Call::console) return trial.start(subject);
  if (call == Call::open) subject.close();
  return {};
}

Result<void> make(Call call, const Trial& trial, Subject& subject) {
  cloud_machine_info info{};
  std::vector<std::string> names;
  UniqueFd stream;
  switch (call) {
    case Call::open:
      return must(subject.open());
    case Call::probe:
      return must(subject.probe());
    case Call::prepare:
      return trial.prepare(subject);
    case Call::start:
      return trial.start(subject);
    case Call::console:
      return must(subject.console(trial.ref(), stream));
    case Call::wait_ready:
      return must(subject.wait_ready(trial.ref(), far_deadline(trial.bench())));
    case Call::info:
      return must(subject.info(trial.ref(), info));
    case Call::list:
      return must(subject.list(names));
    case Call::stop:
      return must(subject.stop(trial.ref(), in(1s)));
    case Call::destroy:
      return trial.destroy(subject);
    case Call::close:
      subject.close();
      return {};
  }
  return {};
}

bool happens(Clock::time_point limit, const std::function<bool()>& event) {
  while (!event()) {
    if (Clock::now() > limit) return false;
    std::this_thread::sleep_for(50us);
  }
  return true;
}

Result<Clock::duration> measure(Call call, const Trial& trial) {
  auto made = trial.start_worker(caller_of(call), [&](Subject& subject) -> Result<std::string> {
    if (auto ready = make_ready(call, trial, subject); !ready) return std::move(ready).error();
    const auto begun = Clock::now();
    if (auto done = make(call, trial, subject); !done) return std::move(done).error();
    return std::to_string((Clock::now() - begun).count());
  });
  if (!made) return std::move(made).error();
  const auto text = made->wait();
  if (!text) return text.error();
  return Clock::duration{std::stoll(*text)};
}

/// When the caller is killed: so long after it has begun the call, or right after its return.
struct Moment {
  std::optional<Clock::duration> delay;
  std::string words;
};

std::vector<Moment> moments_of(Call call, Clock::duration took) {
  // Nobody hits the middle of a few microseconds.
  const bool is_instant = took < 200us;
  std::vector<Moment> moments;
  for (const int percent : {0, 10, 30, 70}) {
    if (is_instant && percent > 0) continue;
    moments.push_back({took * percent / 100, "killed after " + std::to_string(percent) + " % of " +
                                                 name_of(call) + "()"});
  }
  moments.push_back({std::nullopt, std::string{"killed right after "} + name_of(call) + "()"});
  return moments;
}

// The call in a process that is killed at that moment; whether it was still in the call.
Result<bool> kill_caller(Call call, const Trial& trial, const Moment& moment) {
  auto& stage = Stage::instance();
  stage.reset();
  auto worker = trial.start_worker(caller_of(call), [&](Subject& subject) -> Result<std::string> {
    // It has just been opened: that is the call.
    if (call != Call::open) {
      auto done = make_ready(call, trial, subject);
      if (done) done = make(call, trial, subject);
      if (!done) return std::move(done).error();
    }
    for (;;) std::this_thread::sleep_for(1s);
  });
  if (!worker) return std::move(worker).error();
  const auto* name = name_of(call);
  const bool came = happens(far_deadline(trial.bench()), [&] {
    return worker->has_ended() || (moment.delay ? stage.entered(name) : stage.returned(name)) > 0;
  });
  if (!came) return wrong(std::string{name} + "() was never reached");
  if (moment.delay) std::this_thread::sleep_for(*moment.delay);
  // One that lives for ever ends by an error alone: of the call, or of what leads to it.
  if (worker->has_ended()) return worker->wait().error();
  const bool was_in_call = stage.returned(name) == 0;
  worker->kill(caller_of(call) == Role::hook);
  return was_in_call;
}

Result<void> require_alive(const Trial& trial) {
  const auto asked = trial.as_hook([&](Subject& subject) -> Result<std::string> {
    cloud_machine_info info{};
    if (auto done = must(subject.info(trial.ref(), info)); !done) return std::move(done).error();
    if (info.state != CLOUD_RUNNING) return wrong("the machine of another process has ended");
    return std::string{};
  });
  return asked ? Result<void>{} : Result<void>{asked.error()};
}

// The kill, and what is true afterwards.
using Attempt = std::function<Result<bool>(const Moment& moment)>;

// Kills at each moment. A call that was faster than its measurement is tried with less time.
Result<void> kill_at_all(const std::vector<Moment>& moments, const Attempt& attempt) {
  for (auto moment : moments) {
    for (int round = 0; round < 3; ++round) {
      auto was_in_call = attempt(moment);
      if (!was_in_call) return std::move(was_in_call).error().within(moment.words);
      if (*was_in_call || !moment.delay || *moment.delay == 0ns) break;
      *moment.delay /= 2;
    }
  }
  return {};
}

// One machine for all the moments, as none of them is its end.
Verdict killed_while_asking(Bench& bench, Call call) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  if (auto led = lead_to(call, *trial); !led) return led;
  const auto took = measure(call, *trial);
  if (!took) return took.error();
  const auto killed = kill_at_all(moments_of(call, *took), [&](const Moment& moment) {
    auto was_in_call = kill_caller(call, *trial, moment);
    if (was_in_call) {
      if (auto alive = require_alive(*trial); !alive) return Result<bool>{alive.error()};
    }
    return was_in_call;
  });
  if (!killed) return killed;
  return trial->destroy_and_look();
}

Result<bool> killed_at(Call call, Trial& trial, const Moment& moment) {
  if (auto led = lead_to(call, trial); !led) return std::move(led).error();
  auto was_in_call = kill_caller(call, trial, moment);
  if (!was_in_call) return was_in_call;
  if (auto ended = kill_cgroup(trial.spec.cgroup, 5s); !ended) return std::move(ended).error();
  if (auto gone = trial.destroy_and_look(); !gone) return std::move(gone).error();
  return was_in_call;
}

Verdict killed_in(Bench& bench, Call call) {
  if (is_question(call)) return killed_while_asking(bench, call);
  if (call == Call::console && !bench.has(CLOUD_CAP_CONSOLE)) {
    return Verdict::skip("no CLOUD_CAP_CONSOLE");
  }
  auto first = Trial::begin(bench);
  if (!first) return first.error();
  if (auto led = lead_to(call, *first); !led) return led;
  const auto took = measure(call, *first);
  if (!took) return took.error();
  if (auto gone = first->destroy_and_look(); !gone) return gone;
  return kill_at_all(moments_of(call, *took), [&](const Moment& moment) -> Result<bool> {
    auto trial = Trial::begin(bench);
    if (!trial) return trial.error();
    return killed_at(call, *trial, moment);
  });
}

template <Call call>
Verdict killed(Bench& bench) {
  return killed_in(bench, call);
}

}  // namespace

std::vector<Check> kill_checks() {
  return {
      {"killed_in_open", "kill -9 in open(), then destroy() leaves nothing", killed<Call::open>},
      {"killed_in_probe", "kill -9 in probe(), then destroy() leaves nothing", killed<Call::probe>},
      {"killed_in_prepare", "kill -9 in prepare(), then destroy() leaves nothing",
       killed<Call::prepare>},
      {"killed_in_start", "kill -9 in start(), then destroy() leaves nothing", killed<Call::start>},
      {"killed_in_console", "kill -9 in console(), then destroy() leaves nothing",
       killed<Call::console>},
      {"killed_in_wait_ready", "kill -9 in wait_ready(), then destroy() leaves nothing",
       killed<Call::wait_ready>},
      {"killed_in_info", "kill -9 in info(), then destroy() leaves nothing", killed<Call::info>},
      {"killed_in_list", "kill -9 in list(), then destroy() leaves nothing", killed<Call::list>},
      {"killed_in_stop", "kill -9 in stop(), then destroy() leaves nothing", killed<Call::stop>},
      {"killed_in_destroy", "kill -9 in destroy(), then destroy() leaves nothing",
       killed<Call::destroy>},
      {"killed_in_close", "kill -9 in close(), then destroy() leaves nothing",
       killed<Call::close>}};
}

}  // namespace cloud
