// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <array>
#include <cstdio>

#include "core/config/site_config.hpp"
#include "core/job/published_state.hpp"
#include "core/job/record_store.hpp"
#include "core/job/trace_events.hpp"
#include "core/system/harmless_text.hpp"
#include "tools/cloudctl.hpp"

namespace cloud {
namespace {

std::string machine_phase(const SiteConfig& config, const JobRecord& record) {
  const auto state =
      read_published_state(published_dir(config.run_dir, record.node, record.job_id));
  return std::string{state ? to_string(state->phase) : to_string(record.phase)};
}

std::string milliseconds(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", number);
  return text.data();
}

void print_stages(const JobRecord& record) {
  std::printf("%-8s %-20s %10s %s\n", "LIST", "STAGE", "TOOK ms", "MESSAGE");
  for (const auto& stage : record.stages) {
    const bool has_ended = stage.state != StageState::begun;
    const auto took = static_cast<double>(stage.ended_us - stage.begun_us) / 1000;
    std::printf("%-8s %-20s %10s %s\n", stage.list.c_str(), stage.name.c_str(),
                has_ended ? milliseconds(took).c_str() : "not ended",
                harmless_line(stage.message).c_str());
  }
}

}  // namespace

int show_status(const NodeView& view) {
  if (::geteuid() != 0) return refuse({Blame::user, "records are root's: run status as root"});
  const auto config = config_of_node(view);
  const RecordStore store{config.state_dir, view.node};
  std::printf("%-10s %-12s %-6s %-16s %-9s %-15s %s\n", "JOB", "USER", "TYPE", "IMAGE", "PHASE",
              "ADDRESS", "REASON");
  for (const auto job_id : store.jobs()) {
    const auto found = store.peek(job_id);
    if (!found) {
      std::printf("%-10llu %s; `cloudctl reconcile` cleans up once the job has ended\n",
                  static_cast<unsigned long long>(job_id),
                  harmless_line(found.error().message).c_str());
    }
    if (!found || !*found) continue;
    const auto& record = **found;
    std::printf(
        "%-10llu %-12s %-6s %-16s %-9s %-15s %s\n", static_cast<unsigned long long>(record.job_id),
        record.user.c_str(), record.request ? record.request->type.c_str() : "-",
        record.request ? record.request->image.c_str() : "-", machine_phase(config, record).c_str(),
        record.lease ? record.lease->address.c_str() : "-", harmless_line(record.failure).c_str());
  }
  return 0;
}

int show_trace(const NodeView& view, std::uint64_t job_id, TraceFormat format) {
  const auto config = config_of_node(view);
  for (const auto& record : RecordStore{config.state_dir, view.node}.records()) {
    if (record.job_id != job_id) continue;
    if (format == TraceFormat::perfetto) {
      std::fputs(to_trace_events(record).c_str(), stdout);
    } else {
      print_stages(record);
    }
    return 0;
  }
  const auto* hint = ::geteuid() == 0 ? "" : " that you may read: records are root's";
  return refuse({Blame::user,
                 "job " + std::to_string(job_id) + " has no record on node " + view.node + hint});
}

}  // namespace cloud
