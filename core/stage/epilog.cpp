// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <set>

#include "core/log.hpp"
#include "core/machine/publisher.hpp"
#include "core/stage/actions.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/job_configuration.hpp"
#include "core/stage/reconstruction.hpp"
#include "core/stage/site_program.hpp"
#include "core/stage/stage_rules.hpp"
#include "core/stage/unfinished_ends.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kLockWait = 120s;

Result<void> run_stage(Session& session, const StageConfig& stage) {
  switch (stage.action) {
    case StageAction::destroy_machine:
      return destroy_machine(session);
    case StageAction::release_address:
      return release_address(session);
    case StageAction::exec: {
      const TimeBudget::Pause pause{session.budget};
      return run_site_program(stage.exec, stage, session.input, program_output_file(session));
    }
    case StageAction::lease_address:
    case StageAction::create_machine:
      break;
  }
  return Error{Blame::internal,
               "the epilog has no action '" + std::string{to_string(stage.action)} + "'"};
}

// 1 where a stage that failed says that the node shall be drained.
int run_stages(Session& session, std::string_view type, std::set<StageAction>& tried) {
  int status = 0;
  for (const auto& stage : session.config.epilog) {
    if (!applies(stage, type)) continue;
    tried.insert(stage.action);
    auto done = run_stage(session, stage);
    if (done) continue;
    log_line(LogLevel::error, "stage '" + stage.name + "': " + done.error().message);
    if (stage.on_error == OnError::drain_node) status = 1;
  }
  return status;
}

// What no stage of the site's has been for. What one was for in vain has to wait for a later hook:
// it would only wait for the same again.
void sweep(Session& session, const std::set<StageAction>& tried) {
  if (!tried.contains(StageAction::destroy_machine)) {
    if (auto destroyed = destroy_machine(session); !destroyed) {
      log_line(LogLevel::error, "machine: " + destroyed.error().message);
    }
  }
  if (!tried.contains(StageAction::release_address)) {
    if (auto released = release_address(session); !released) {
      log_line(LogLevel::error, "address: " + released.error().message);
    }
  }
}

int run_locked(Session& session, const std::function<bool(const JobRecord&)>& leave_alone) {
  auto loaded = session.locked.load();
  if (leave_alone) {
    auto known = session.record;
    if (loaded && *loaded) known = **loaded;
    if (leave_alone(known)) return 0;
  }
  if (!loaded) {
    log_line(LogLevel::error, loaded.error().message + "; keeping a copy and cleaning up by name");
    if (auto kept = session.locked.quarantine(); !kept)
      log_line(LogLevel::error, kept.error().message);
    session.record = reconstruct_record(session);
  } else if (*loaded) {
    session.record = **loaded;
  }
  const UnfinishedEnds unfinished{session.store};
  if (session.input.job.restart_count < session.record.restart_count) {
    unfinished.finish(session.record.job_id, session.input.job.restart_count);
    log_line(LogLevel::warn, "late epilog of an earlier run: run " +
                                 std::to_string(session.record.restart_count) + " is left alone");
    return 0;
  }
  unfinished.begin(session.record.job_id, session.record.restart_count);
  session.record.phase = RecordPhase::ending;
  if (auto saved = session.save(); !saved) log_line(LogLevel::error, saved.error().message);
  const auto type = session.record.request ? session.record.request->type : std::string{};
  std::set<StageAction> tried;
  const int status = run_stages(session, type, tried);
  sweep(session, tried);
  const Publisher publisher{session.config, session.record};
  if (auto removed = publisher.remove(); !removed)
    log_line(LogLevel::error, removed.error().message);
  if (session.record.machine || session.record.lease) {
    log_line(LogLevel::error,
             "something of the job is left: the next hooks on this node, and `cloudctl reconcile`, "
             "try again");
    unfinished.note_attempt(session.record.job_id);
    return status;
  }
  if (auto forgotten = session.locked.forget(); !forgotten) {
    log_line(LogLevel::error, forgotten.error().message);
  }
  unfinished.finish(session.record.job_id, session.record.restart_count);
  forget_job_configuration(session.config, session.input.job);
  return status;
}

// The site's own stages of a job that has no record, and the reason that a prolog published where
// it could not even make one.
int run_without_record(const SiteConfig& config, const HookInput& input) {
  int status = 0;
  forget_job_configuration(config, input.job);
  if (auto removed = remove_tree(published_dir(config.run_dir, input.job.node, input.job.job_id));
      !removed) {
    log_line(LogLevel::error, removed.error().message);
  }
  for (const auto& stage : config.epilog) {
    if (stage.action != StageAction::exec || !applies(stage, "")) continue;
    if (auto done = run_site_program(stage.exec, stage, input, ""); !done) {
      log_line(LogLevel::error, "stage '" + stage.name + "': " + done.error().message);
      if (stage.on_error == OnError::drain_node) status = 1;
    }
  }
  return status;
}

}  // namespace

LoadedConfig without_site_programs(LoadedConfig loaded) {
  for (auto* stages : {&loaded.config.prolog, &loaded.config.epilog}) {
    std::erase_if(*stages,
                  [](const StageConfig& stage) { return stage.action == StageAction::exec; });
  }
  return loaded;
}

namespace {

std::chrono::milliseconds time_for_all(const SiteConfig& config) {
  return config.hook_timeout + config.stop_timeout;
}

int end_job(const SiteConfig& config, const HookInput& input, LockedJob locked, TimeBudget budget,
            const std::function<bool(const JobRecord&)>& leave_alone) {
  Session session{config, input, RecordStore{config.state_dir, input.job.node}, std::move(locked),
                  {},     budget};
  session.record.job_id = input.job.job_id;
  session.record.node = input.job.node;
  session.record.uid = input.job.uid;
  return run_locked(session, leave_alone);
}

HookInput input_for(const std::string& node, std::uint64_t job_id) {
  HookInput input;
  input.job.job_id = job_id;
  input.job.node = node;
  input.lookup = [](std::string_view) { return std::nullopt; };
  input.cancelled = [] { return false; };
  return input;
}

}  // namespace

int run_epilog(const LoadedConfig& site, const HookInput& input,
               const std::function<bool(const JobRecord&)>& leave_alone) {
  const auto loaded = configuration_to_end(site, input.job);
  const TimeBudget budget{time_for_all(loaded.config)};
  const RecordStore store{loaded.config.state_dir, input.job.node};
  const UnfinishedEnds unfinished{store};
  // Before anything that may take time: whoever kills us leaves the rest to the next hook.
  const bool is_jobs_end = !leave_alone && store.knows(input.job.job_id);
  if (is_jobs_end) unfinished.begin(input.job.job_id, input.job.restart_count);
  auto locked = store.lock(input.job.job_id, budget.share(kLockWait));
  if (!locked) {
    log_line(LogLevel::error, locked.error().message);
    return 0;
  }
  if (!*locked) {
    unfinished.finish(input.job.job_id, input.job.restart_count);
    return run_without_record(loaded.config, input);
  }
  return end_job(loaded.config, input, **std::move(locked), budget, leave_alone);
}

int run_epilog(const LoadedConfig& site, const HookInput& input, LockedJob locked) {
  const auto loaded = configuration_to_end(site, input.job);
  return end_job(loaded.config, input, std::move(locked), TimeBudget{time_for_all(loaded.config)},
                 {});
}

void finish_end(const LoadedConfig& site, const std::string& node, std::uint64_t job_id,
                std::chrono::milliseconds limit) {
  const RecordStore own{site.config.state_dir, node};
  auto locked = own.lock(job_id, std::chrono::milliseconds{0});
  // Somebody is at it.
  if (!locked) return;
  const UnfinishedEnds unfinished{own};
  const auto run = unfinished.run_of(job_id);
  if (!run) return;
  const auto record = *locked ? (**locked).load() : Result<std::optional<JobRecord>>{std::nullopt};
  // Asked under the lock: there is nothing left, or a next run of the job has begun.
  if (!*locked || (record && *record && (**record).restart_count > *run)) {
    unfinished.finish(job_id, *run);
    return;
  }
  log_line(LogLevel::warn, "finishing the end of job " + std::to_string(job_id));
  auto input = input_for(node, job_id);
  input.job.restart_count = *run;
  if (record && *record) input.job.uid = (**record).uid;
  const auto loaded = configuration_to_end(without_site_programs(site), input.job);
  (void)end_job(without_site_programs(loaded).config, input, **std::move(locked), TimeBudget{limit},
                {});
}

}  // namespace cloud
