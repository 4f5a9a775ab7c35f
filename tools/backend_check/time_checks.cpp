// SPDX-License-Identifier: Apache-2.0
//
// Deadlines and cancellation.
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/frozen_machine.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

// What a call may take beyond its deadline: to end what it has begun. The engine's own waits are
// longer by more.
constexpr auto kSlack = 4s;
// From the moment of the cancellation. The engine kills the caller some seconds later.
constexpr auto kCancelSlack = 2s;

std::string in_words(std::chrono::steady_clock::duration time) {
  return std::to_string(duration_cast<milliseconds>(time).count()) + " ms";
}

Result<void> in_time(const Answer& answer, milliseconds given, const Bench& bench) {
  const auto limit = given + kSlack * bench.slowness;
  if (answer.took > limit) {
    return wrong(answer.call + "() with " + in_words(given) + " to go took " +
                 in_words(answer.took) + "; " + in_words(limit) + " are its limit");
  }
  if (answer.is_ok() || answer.code == CLOUD_E_TIMEOUT) return {};
  return wrong("after its deadline " + answer.text());
}

enum class Call { start, wait_ready, stop, destroy };
constexpr Call kCalls[] = {Call::start, Call::wait_ready, Call::stop, Call::destroy};

// A machine that is as far as it has to be for the call.
Result<void> lead_to(Call call, const Trial& trial, Subject& subject) {
  if (auto done = trial.prepare(subject); !done || call == Call::start) return done;
  if (auto done = trial.start(subject); !done || call == Call::wait_ready) return done;
  return must(subject.wait_ready(trial.ref(), far_deadline(trial.bench())));
}

Answer make(Call call, const Trial& trial, Subject& subject, Deadline deadline) {
  switch (call) {
    case Call::start:
      return trial.start(subject, deadline);
    case Call::wait_ready:
      return subject.wait_ready(trial.ref(), deadline);
    case Call::stop:
      return subject.stop(trial.ref(), deadline);
    case Call::destroy:
      return subject.destroy(trial.ref(), deadline);
  }
  return {};
}

Verdict deadlines(Bench& bench) {
  for (const auto call : kCalls) {
    for (const milliseconds given : {-1000ms, 50ms}) {
      auto trial = Trial::begin(bench);
      if (!trial) return trial.error();
      const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
        if (auto done = lead_to(call, *trial, subject); !done) return std::move(done).error();
        const auto answer = make(call, *trial, subject, in(given));
        if (auto kept = in_time(answer, std::max(given, 0ms), bench); !kept)
          return std::move(kept).error();
        if (auto done = trial->destroy(subject); !done) return std::move(done).error();
        return std::string{};
      });
      if (!lived) return lived.error();
      if (auto looked = trial->look(); !looked) return looked;
    }
  }
  return {};
}

Result<void> cancelled_in_time(const Answer& answer, milliseconds after, const Bench& bench) {
  const auto limit = after + kCancelSlack * bench.slowness;
  if (answer.took > limit) {
    return wrong(answer.call + "(), cancelled after " + in_words(after) + ", took " +
                 in_words(answer.took) + "; " + in_words(limit) + " are its limit");
  }
  if (answer.is_ok() || answer.code == CLOUD_E_CANCELLED) return {};
  return wrong("cancelled, " + answer.text());
}

Verdict cancellation(Bench& bench) {
  for (const auto call : {Call::start, Call::wait_ready, Call::stop}) {
    for (const milliseconds after : {0ms, 50ms}) {
      auto trial = Trial::begin(bench);
      if (!trial) return trial.error();
      const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
        if (auto done = lead_to(call, *trial, subject); !done) return std::move(done).error();
        const auto moment = in(after);
        subject.set_cancelled([&] { return std::chrono::steady_clock::now() >= moment; });
        const auto answer = make(call, *trial, subject, in(10s));
        subject.set_cancelled({});
        if (auto kept = cancelled_in_time(answer, after, bench); !kept)
          return std::move(kept).error();
        if (auto done = trial->destroy(subject); !done) return std::move(done).error();
        return std::string{};
      });
      if (!lived) return lived.error();
      if (auto looked = trial->look(); !looked) return looked;
    }
  }
  return {};
}

// The processes whose end is the machine's end.
Result<std::vector<pid_t>> first_processes(const Trial& trial, Subject& subject) {
  cloud_machine_info info{};
  if (auto done = must(subject.info(trial.ref(), info)); !done) return std::move(done).error();
  std::vector<pid_t> first;
  for (const auto pid : {info.init_pid, info.main_pid}) {
    if (pid > 0) first.push_back(static_cast<pid_t>(pid));
  }
  return first;
}

// CLOUD_OK says that the call has done its work: nothing of the machine lives.
Result<void> require_honest(const Answer& answer, const FrozenMachine& frozen) {
  if (!answer.is_ok() || answer.call == "wait_ready") return {};
  const auto living = frozen.living();
  if (living == 0) return {};
  return wrong(answer.call + "() answered CLOUD_OK, and process " + std::to_string(living) +
               " of the machine has not ended");
}

// The machine itself hangs, so that nothing but the call's own watch can end it.
Result<std::string> hangs_in(Call call, bool is_cancelled, const Trial& trial, Subject& subject) {
  constexpr auto kGiven = 300ms;
  // As the epilog.
  constexpr auto kToDestroy = 30s;
  if (auto done = lead_to(call, trial, subject); !done) return std::move(done).error();
  const auto first = first_processes(trial, subject);
  if (!first) return first.error();
  Result<void> kept;
  {
    const FrozenMachine frozen{*first, 2 * kSlack * trial.bench().slowness + kToDestroy + 2s};
    const auto moment = in(kGiven);
    if (is_cancelled) {
      subject.set_cancelled([&] { return std::chrono::steady_clock::now() >= moment; });
    }
    const auto answer = make(call, trial, subject, is_cancelled ? in(kToDestroy) : moment);
    subject.set_cancelled({});
    kept = is_cancelled ? cancelled_in_time(answer, kGiven, trial.bench())
                        : in_time(answer, kGiven, trial.bench());
    if (kept) kept = require_honest(answer, frozen);
    if (kept) {
      const auto destroyed = subject.destroy(trial.ref(), in(kToDestroy));
      kept = must(destroyed);
      if (kept) kept = require_honest(destroyed, frozen);
    }
  }
  if (kept) kept = must(subject.destroy(trial.ref(), far_deadline(trial.bench())));
  if (!kept) return std::move(kept).error();
  return std::to_string(first->size());
}

Verdict hung_machine(Bench& bench) {
  for (const auto call : {Call::wait_ready, Call::stop, Call::destroy}) {
    for (const bool is_cancelled : {false, true}) {
      // It goes on: the job's end is what it is called for.
      if (is_cancelled && call == Call::destroy) continue;
      auto trial = Trial::begin(bench);
      if (!trial) return trial.error();
      const auto lived = trial->as_keeper(
          [&](Subject& subject) { return hangs_in(call, is_cancelled, *trial, subject); });
      if (!lived) return Error{lived.error()}.within("of a machine that hangs");
      if (auto looked = trial->look(); !looked) {
        return std::move(looked).error().within("of a machine that hung");
      }
      if (*lived == "0") return Verdict::skip("info() names no process of its machines");
    }
  }
  return {};
}

}  // namespace

std::vector<Check> time_checks() {
  return {
      {"deadlines", "calls end at their deadline, also at one that has passed", deadlines},
      {"cancellation", "calls end soon when the job is cancelled", cancellation},
      {"hung_machine", "a machine that hangs holds no call up, and is destroyed", hung_machine}};
}

}  // namespace cloud
