// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "core/log.hpp"
#include "core/machine/publisher.hpp"
#include "core/stage/actions.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/job_configuration.hpp"
#include "core/stage/reconstruction.hpp"
#include "core/stage/site_program.hpp"
#include "core/stage/stage_rules.hpp"
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
    case StageAction::exec:
      return run_site_program(stage.exec, stage, session.input, program_output_file(session));
    case StageAction::lease_address:
    case StageAction::create_machine:
      break;
  }
  return Error{Blame::internal,
               "the epilog has no action '" + std::string{to_string(stage.action)} + "'"};
}

// 1 where a stage that failed says that the node shall be drained.
int run_stages(Session& session, std::string_view type) {
  int status = 0;
  for (const auto& stage : session.config.epilog) {
    if (!applies(stage, type)) continue;
    auto done = run_stage(session, stage);
    if (done) continue;
    log_line(LogLevel::error, "stage '" + stage.name + "': " + done.error().message);
    if (stage.on_error == OnError::drain_node) status = 1;
  }
  return status;
}

void sweep(Session& session) {
  if (auto destroyed = destroy_machine(session); !destroyed) {
    log_line(LogLevel::error, "machine: " + destroyed.error().message);
  }
  if (auto released = release_address(session); !released) {
    log_line(LogLevel::error, "address: " + released.error().message);
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
  if (session.input.job.restart_count < session.record.restart_count) {
    log_line(LogLevel::warn, "late epilog of an earlier run: run " +
                                 std::to_string(session.record.restart_count) + " is left alone");
    return 0;
  }
  session.record.phase = RecordPhase::ending;
  if (auto saved = session.save(); !saved) log_line(LogLevel::error, saved.error().message);
  const auto type = session.record.request ? session.record.request->type : std::string{};
  const int status = run_stages(session, type);
  sweep(session);
  const Publisher publisher{session.config, session.record};
  if (auto removed = publisher.remove(); !removed)
    log_line(LogLevel::error, removed.error().message);
  if (session.record.machine || session.record.lease) {
    log_line(LogLevel::error, "something of the job is left; `cloudctl reconcile` tries again");
    return status;
  }
  if (auto forgotten = session.locked.forget(); !forgotten) {
    log_line(LogLevel::error, forgotten.error().message);
  }
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

int run_epilog(const LoadedConfig& site, const HookInput& input,
               const std::function<bool(const JobRecord&)>& leave_alone) {
  const auto loaded = configuration_to_end(site, input.job);
  const RecordStore store{loaded.config.state_dir, input.job.node};
  auto locked = store.lock(input.job.job_id, kLockWait);
  if (!locked) {
    log_line(LogLevel::error, locked.error().message);
    return 0;
  }
  if (!*locked) return run_without_record(loaded.config, input);
  Session session{loaded.config, input, store, *std::move(*locked), {}};
  session.record.job_id = input.job.job_id;
  session.record.node = input.job.node;
  session.record.uid = input.job.uid;
  return run_locked(session, leave_alone);
}

}  // namespace cloud
