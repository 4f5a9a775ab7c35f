// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "core/job/cgroup.hpp"
#include "core/job/job_context.hpp"
#include "core/job/published_state.hpp"
#include "core/job/record_store.hpp"
#include "core/log.hpp"
#include "core/stage/hooks.hpp"
#include "tools/cloudctl.hpp"

namespace cloud {
namespace {

// A prolog that has just begun has no process in a cgroup yet.
constexpr std::int64_t kYoungUs = 120'000'000;

std::string machine_phase(const SiteConfig& config, const JobRecord& record) {
  const auto state =
      read_published_state(published_dir(config.run_dir, record.node, record.job_id));
  return std::string{state ? to_string(state->phase) : to_string(record.phase)};
}

bool is_alive(const JobRecord& record) {
  if (record.boot_id != current_boot_id()) return false;
  const bool is_young =
      !record.stages.empty() && now_us() - record.stages.front().begun_us < kYoungUs;
  if (is_young) return true;
  if (!record.machine || record.machine->cgroup.empty()) return false;
  const auto& cgroup = record.machine->cgroup;
  const auto job = cgroup.substr(0, cgroup.find("/step_extern"));
  // The machine and the keeper alone do not make a job: its steps and slurmstepd do.
  return cgroup_processes(job).size() > cgroup_processes(cgroup).size();
}

}  // namespace

int show_status(const std::string& file, const std::string& node) {
  const auto config = load_site_config(file).config;
  const RecordStore store{config.state_dir, node};
  std::printf("%-10s %-12s %-6s %-16s %-9s %-15s %s\n", "JOB", "USER", "TYPE", "IMAGE", "PHASE",
              "ADDRESS", "REASON");
  for (const auto& record : store.records()) {
    std::printf(
        "%-10llu %-12s %-6s %-16s %-9s %-15s %s\n", static_cast<unsigned long long>(record.job_id),
        record.user.c_str(), record.request ? record.request->type.c_str() : "-",
        record.request ? record.request->image.c_str() : "-", machine_phase(config, record).c_str(),
        record.lease ? record.lease->address.c_str() : "-", record.failure.c_str());
  }
  return 0;
}

int show_trace(const std::string& file, const std::string& node, std::uint64_t job_id) {
  const auto config = load_site_config(file).config;
  for (const auto& record : RecordStore{config.state_dir, node}.records()) {
    if (record.job_id != job_id) continue;
    std::printf("%-8s %-20s %10s %s\n", "LIST", "STAGE", "TOOK ms", "MESSAGE");
    for (const auto& stage : record.stages) {
      std::printf("%-8s %-20s %10.1f %s\n", stage.list.c_str(), stage.name.c_str(),
                  static_cast<double>(stage.ended_us - stage.begun_us) / 1000,
                  stage.message.c_str());
    }
    return 0;
  }
  std::fprintf(stderr, "cloudctl: job %llu has no record on node %s\n",
               static_cast<unsigned long long>(job_id), node.c_str());
  return 1;
}

int reconcile(const std::string& file, const std::string& node) {
  const auto loaded = load_site_config(file);
  if (!loaded.report.empty()) {
    std::fputs(loaded.report.text().c_str(), stderr);
    return 1;
  }
  const RecordStore store{loaded.config.state_dir, node};
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
  return status;
}

}  // namespace cloud
