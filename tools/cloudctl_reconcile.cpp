// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "core/job/cgroup.hpp"
#include "core/job/cgroup_path.hpp"
#include "core/job/record_store.hpp"
#include "core/log.hpp"
#include "core/stage/hooks.hpp"
#include "core/stage/stray_machines.hpp"
#include "tools/cloudctl.hpp"

namespace cloud {
namespace {

// A prolog that has just begun has no process in a cgroup yet.
constexpr std::int64_t kYoungUs = 120'000'000;

bool is_alive(const JobRecord& record) {
  if (record.boot_id != current_boot_id()) return false;
  const bool is_young =
      !record.stages.empty() && now_us() - record.stages.front().begun_us < kYoungUs;
  if (is_young) return true;
  if (!record.machine || record.machine->cgroup.empty()) return false;
  const auto& cgroup = record.machine->cgroup;
  // The machine and the keeper alone do not make a job: its steps and slurmstepd do.
  return cgroup_processes(job_cgroup_path(cgroup)).size() > cgroup_processes(cgroup).size();
}

}  // namespace

int reconcile(const NodeView& view) {
  const auto loaded = load_site_config(view.config_file);
  if (!loaded.report.empty()) {
    std::fputs(loaded.report.text().c_str(), stderr);
    return 1;
  }
  const RecordStore store{loaded.config.state_dir, view.node};
  int status = 0;
  for (const auto& record : store.records()) {
    if (is_alive(record)) continue;
    log_as("reconcile", record.job_id);
    log_line(LogLevel::info, "the job no longer runs here: cleaning up");
    HookInput input;
    input.job = {record.job_id, record.uid,  record.gid,
                 record.user,   record.node, record.restart_count};
    input.lookup = [](std::string_view) { return std::nullopt; };
    input.cancelled = [] { return false; };
    if (run_epilog(without_site_programs(loaded), input) != 0 || store.knows(record.job_id))
      status = 1;
  }
  if (!end_stray_machines(loaded, view.node)) status = 1;
  return status;
}

}  // namespace cloud
