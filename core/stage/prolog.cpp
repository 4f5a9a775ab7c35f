// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/log.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/publisher.hpp"
#include "core/stage/actions.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/job_configuration.hpp"
#include "core/stage/reconstruction.hpp"
#include "core/stage/site_program.hpp"
#include "core/stage/stage_rules.hpp"
#include "core/stage/unfinished_ends.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kLockWait = 60s;

JobRecord new_record(const SiteConfig& config, const HookInput& input) {
  JobRecord record;
  record.run_dir = config.run_dir;
  record.job_id = input.job.job_id;
  record.restart_count = input.job.restart_count;
  record.node = input.job.node;
  record.boot_id = current_boot_id();
  record.uid = input.job.uid;
  record.gid = input.job.gid;
  record.user = input.job.user;
  return record;
}

std::string type_of(const JobRecord& record) {
  return record.request ? record.request->type : std::string{};
}

Result<void> run_program(Session& session, const StageConfig& stage, const std::string& program) {
  const TimeBudget::Pause pause{session.budget};
  return run_site_program(program, stage, session.input, program_output_file(session));
}

Result<void> run_stage(Session& session, const StageConfig& stage) {
  switch (stage.action) {
    case StageAction::lease_address:
      return lease_address(session);
    case StageAction::create_machine:
      return create_machine(session);
    case StageAction::exec:
      // Known before it runs: its undo has to run also where we are killed in the middle.
      if (auto saved = session.save(); !saved) return saved;
      return run_program(session, stage, stage.exec);
    case StageAction::destroy_machine:
    case StageAction::release_address:
      break;
  }
  return Error{Blame::internal,
               "the prolog has no action '" + std::string{to_string(stage.action)} + "'"};
}

Result<void> undo_stage(Session& session, const StageConfig& stage) {
  switch (stage.action) {
    case StageAction::lease_address:
      return release_address(session);
    case StageAction::create_machine:
      return destroy_machine(session);
    case StageAction::exec:
      if (stage.undo.empty()) return {};
      return run_program(session, stage, stage.undo);
    case StageAction::destroy_machine:
    case StageAction::release_address:
      break;
  }
  return {};
}

// Undoes the stages that began, last first: one that failed may have done half its work.
void undo_all(Session& session) {
  const auto& stages = session.config.prolog;
  for (auto trace = session.record.stages.rbegin(); trace != session.record.stages.rend();
       ++trace) {
    if (trace->list != "prolog" || trace->state == StageState::undone) continue;
    for (const auto& stage : stages) {
      if (stage.name != trace->name) continue;
      if (auto undone = undo_stage(session, stage); !undone) {
        // The record still names what is left: the epilog tries again.
        log_line(LogLevel::error, "undo stage '" + stage.name + "': " + undone.error().message);
        continue;
      }
      trace->state = StageState::undone;
    }
  }
}

void publish_failure(Session& session) {
  const Publisher publisher{session.config, session.record};
  if (auto published = publisher.publish(); !published) {
    log_line(LogLevel::error, "tell the user why the job fails: " + published.error().message);
  }
}

// A job that shall fail is a job whose tasks print the reason and exit: the node is none the worse.
int fail(Session& session, const Error& error, OnError on_error) {
  session.record.phase = RecordPhase::failed;
  session.record.failure = error.message;
  if (auto saved = session.save(); !saved) log_line(LogLevel::error, saved.error().message);
  publish_failure(session);
  log_line(LogLevel::error,
           "the job fails (" + std::string{to_string(error.blame)} + "): " + error.message);
  // What a user, an image or a pool in use is to blame for says nothing about the node.
  const bool is_nodes = error.blame == Blame::node || error.blame == Blame::internal;
  return on_error == OnError::drain_node && is_nodes ? 1 : 0;
}

// std::nullopt where all stages are done.
struct StageFailure {
  Error error;
  OnError on_error;
};

std::optional<StageFailure> run_stages(Session& session) {
  for (const auto& stage : session.config.prolog) {
    if (!applies(stage, type_of(session.record))) continue;
    if (session.input.cancelled()) {
      return StageFailure{{Blame::cancelled, "the job is being cancelled"}, OnError::fail_job};
    }
    session.record.stages.push_back({"prolog", stage.name, StageState::begun, now_us(), 0, ""});
    auto done = run_stage(session, stage);
    auto& trace = session.record.stages.back();
    trace.ended_us = now_us();
    trace.state = done ? StageState::done : StageState::failed;
    if (done) continue;
    trace.message = done.error().message;
    if (stage.on_error == OnError::go_on) {
      log_line(LogLevel::warn,
               "stage '" + stage.name + "': " + done.error().message + "; going on");
      continue;
    }
    return StageFailure{std::move(done).error(), stage.on_error};
  }
  return std::nullopt;
}

// What an earlier run of the job, or a prolog that was killed, has left.
void clean_up_leftovers(Session& session) {
  log_line(LogLevel::warn, "cleaning up what an earlier run of the job has left");
  undo_all(session);
  for (auto& [what, action] :
       {std::pair{"machine", &destroy_machine}, {"address", &release_address}}) {
    if (auto done = action(session); !done) {
      log_line(LogLevel::error, std::string{what} + ": " + done.error().message);
    }
  }
}

// The site's own stages of a job for which no record can be made: they need none.
int run_without_record(const SiteConfig& config, const HookInput& input) {
  for (const auto& stage : config.prolog) {
    if (stage.action != StageAction::exec || !applies(stage, "")) continue;
    const auto done = run_site_program(stage.exec, stage, input, "");
    if (done) continue;
    log_line(LogLevel::error, "stage '" + stage.name + "': " + done.error().message);
    if (stage.on_error == OnError::drain_node) return 1;
  }
  return 0;
}

// Records say what root does; who could move them would say it. What is not there is made by us.
Result<void> require_own_folders(const SiteConfig& config) {
  for (const auto& [key, folder] :
       {std::pair{"state_dir", &config.state_dir}, {"run_dir", &config.run_dir}}) {
    auto trusted = require_trusted(*folder);
    if (trusted || trusted.error().os_errno == ENOENT) continue;
    return std::move(trusted).error().within(std::string{"cloud."} + key);
  }
  return {};
}

bool is_same_run(const JobRecord& record, const HookInput& input) {
  return record.restart_count == input.job.restart_count && record.boot_id == current_boot_id() &&
         record.uid == input.job.uid;
}

int run_locked(Session& session, const LoadedConfig& loaded,
               const Result<std::optional<Request>>& request) {
  auto existing = session.locked.load();
  if (!existing) {
    log_line(LogLevel::error, existing.error().message + "; keeping a copy and starting over");
    if (auto kept = session.locked.quarantine(); !kept)
      log_line(LogLevel::error, kept.error().message);
    existing = std::optional<JobRecord>{reconstruct_record(session)};
    (*existing)->phase = RecordPhase::ending;
  }
  const UnfinishedEnds unfinished{session.store};
  if (!*existing) {
    // The run before had its record removed, and then its epilog was killed.
    unfinished.forget(session.record.job_id);
  } else {
    const bool is_done =
        (*existing)->phase != RecordPhase::preparing && (*existing)->phase != RecordPhase::ending;
    // slurmd may call a prolog twice for one run.
    if (is_same_run(**existing, session.input) && is_done) return 0;
    session.record = **existing;
    clean_up_leftovers(session);
    const auto machine = session.record.machine;
    const auto lease = session.record.lease;
    session.record = new_record(session.config, session.input);
    session.record.machine = machine;  // what could not be cleaned up stays known
    session.record.lease = lease;
    // From here on an end of the run before would be the end of this one, whatever Slurm counts.
    if (auto saved = session.save(); !saved) return fail(session, saved.error(), OnError::fail_job);
    unfinished.forget(session.record.job_id);
    if (machine || lease) {
      return fail(session,
                  {Blame::node,
                   "an earlier run of the job left a machine behind that cannot "
                   "be removed; see the system log of " +
                       session.record.node},
                  OnError::fail_job);
    }
  }
  if (!request) return fail(session, request.error(), OnError::fail_job);
  if (*request) {
    session.record.request = **request;
    auto resolved = resolve_request(session.config, **request);
    if (!resolved) return fail(session, resolved.error(), OnError::fail_job);
    session.record.request = *resolved;
    keep_job_configuration(loaded, session);
  }
  if (auto failure = run_stages(session)) {
    undo_all(session);
    return fail(session, failure->error, failure->on_error);
  }
  if (!session.record.request) {
    if (auto forgotten = session.locked.forget(); !forgotten) {
      log_line(LogLevel::error, forgotten.error().message);
    }
    return 0;
  }
  session.record.phase = RecordPhase::prepared;
  if (auto saved = session.save(); !saved) {
    undo_all(session);
    return fail(session, saved.error(), OnError::fail_job);
  }
  const Publisher publisher{session.config, session.record};
  if (auto published = publisher.publish(); !published) {
    undo_all(session);
    return fail(session, published.error(), OnError::fail_job);
  }
  return 0;
}

}  // namespace

int run_prolog(const LoadedConfig& loaded, const HookInput& input) {
  const auto& config = loaded.config;
  log_mistakes(loaded);
  const TimeBudget budget{config.hook_timeout + config.stop_timeout};
  const bool wants_machine = asks_for_machine(input);
  if (!wants_machine && !has_stage_for_all_jobs(config.prolog)) {
    RecordStore store{config.state_dir, input.job.node};
    if (!store.knows(input.job.job_id)) return 0;
  }
  Result<std::optional<Request>> request = std::optional<Request>{};
  if (wants_machine) {
    request = parse_request(input.lookup, config.default_type);
    if (!loaded.report.empty()) {
      request =
          Error{Blame::site, "the site's configuration is broken: " + loaded.report.first_line() +
                                 "; tell the administrators"};
    }
    if (auto good = require_own_folders(config); request && !good) {
      request = std::move(good).error();
    }
  }
  RecordStore store{config.state_dir, input.job.node};
  auto locked = store.lock_or_create(input.job.job_id, budget.share(kLockWait));
  if (!locked) {
    log_line(LogLevel::error, locked.error().message);
    // Without a folder there is no machine and no way to say so but a state file in the other
    // place.
    if (wants_machine) {
      auto record = new_record(config, input);
      record.phase = RecordPhase::failed;
      record.failure = locked.error().message;
      const Publisher publisher{config, record};
      // Where even that fails the plugin finds no machine, and says so: the job fails all the same.
      if (auto published = publisher.publish(); !published) {
        log_line(LogLevel::error, published.error().message);
      }
    }
    return run_without_record(config, input);
  }
  Session session{config, input, store, *std::move(locked), new_record(config, input), budget};
  return run_locked(session, loaded, request);
}

}  // namespace cloud
