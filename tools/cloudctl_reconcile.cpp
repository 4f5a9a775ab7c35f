// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "core/job/cgroup_path.hpp"
#include "core/job/cgroup_processes.hpp"
#include "core/job/record_store.hpp"
#include "core/log.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/stray_machines.hpp"
#include "core/system/trash.hpp"
#include "tools/cloudctl.hpp"

namespace cloud {
namespace {

// Between its prolog and its first step a job has no process on the node, for as long as the
// prologs of its other nodes take.
constexpr std::chrono::minutes kYoung{15};

// By the clock that runs from boot to boot; of a record that cannot be read, by the time of day of
// its folder, which was in the past or the clock was set.
bool is_young(const RecordStore& store, const JobRecord& record) {
  if (record.saved_s > 0) {
    const std::chrono::seconds age{seconds_since_boot() - record.saved_s};
    return age < kYoung;
  }
  const auto age = std::chrono::system_clock::now() - store.changed(record.job_id);
  return age < kYoung && age > -kYoung;
}

// The machine and the keeper alone do not make a job: its steps and slurmstepd do.
bool has_other_processes(const JobRecord& record) {
  const auto job = find_job_cgroup(record.node, record.job_id);
  if (job.empty()) return false;
  const auto machine = find_machine_cgroup(record.node, std::nullopt, record.job_id);
  const auto ours = machine.empty() ? 0 : cgroup_processes(machine).size();
  return cgroup_processes(job).size() > ours;
}

// Also of a job whose record is lost: then all but its number and node is unknown.
bool is_alive(const RecordStore& store, const JobRecord& record) {
  if (!record.boot_id.empty() && record.boot_id != current_boot_id()) return false;
  if (has_other_processes(record)) return true;
  if (record.phase == RecordPhase::started || record.phase == RecordPhase::ending) return false;
  return is_young(store, record);
}

}  // namespace

int reconcile(const NodeView& view) {
  if (::geteuid() != 0) return refuse({Blame::user, "reconcile is root's: run it as root"});
  const auto loaded = load_trusted_site_config(view.config_file);
  if (!loaded.report.empty()) {
    std::fputs(loaded.report.text().c_str(), stderr);
    return 1;
  }
  const RecordStore store{loaded.config.state_dir, view.node};
  int status = 0;
  for (const auto job_id : store.jobs()) {
    const auto found = store.peek(job_id);
    JobRecord record;
    record.job_id = job_id;
    record.node = view.node;
    if (found && *found) record = **found;
    const auto leave_alone = [&](const JobRecord& now) { return is_alive(store, now); };
    if (leave_alone(record)) continue;
    log_as("reconcile", job_id);
    log_line(LogLevel::info, "the job no longer runs here: cleaning up");
    HookInput input;
    input.job = {job_id, record.uid, record.gid, record.user, view.node, record.restart_count};
    input.lookup = [](std::string_view) { return std::nullopt; };
    input.cancelled = [] { return false; };
    const int ended = run_epilog(without_site_programs(loaded), input, leave_alone);
    const auto left = store.peek(job_id);
    const bool is_left = store.knows(job_id) && !(left && *left && leave_alone(**left));
    if (ended != 0 || is_left) status = 1;
  }
  if (!end_stray_machines(loaded, view.node)) status = 1;
  if (auto emptied = empty_trash(store.trash_dir()); !emptied) {
    std::fprintf(stderr, "cloudctl: %s\n", emptied.error().message.c_str());
    status = 1;
  }
  return status;
}

}  // namespace cloud
