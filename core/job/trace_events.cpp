// SPDX-License-Identifier: Apache-2.0
#include "core/job/trace_events.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cloud {

std::string to_trace_events(const JobRecord& record) {
  using nlohmann::json;
  // The process of the trace is the node's part of the job, its threads are the lists.
  const json process{
      {"ph", "M"},
      {"name", "process_name"},
      {"pid", 1},
      {"args", {{"name", "job " + std::to_string(record.job_id) + " on " + record.node}}}};
  json events = json::array({process});
  std::vector<std::string> tracks;
  for (const auto& stage : record.stages) {
    auto track = std::find(tracks.begin(), tracks.end(), stage.list);
    const auto number = std::distance(tracks.begin(), track) + 1;
    if (track == tracks.end()) {
      tracks.push_back(stage.list);
      events.push_back({{"ph", "M"},
                        {"name", "thread_name"},
                        {"pid", 1},
                        {"tid", number},
                        {"args", {{"name", stage.list}}}});
    }
    json event{{"name", stage.name},
               {"cat", stage.list},
               {"ph", "B"},
               {"ts", stage.begun_us},
               {"pid", 1},
               {"tid", number},
               {"args", {{"state", to_string(stage.state)}}}};
    if (stage.state != StageState::begun) {
      event["ph"] = "X";
      // A clock that was set back in between gives no negative time.
      event["dur"] = std::max<std::int64_t>(stage.ended_us - stage.begun_us, 0);
    }
    if (!stage.message.empty()) event["args"]["message"] = stage.message;
    events.push_back(std::move(event));
  }
  const json trace{{"traceEvents", events}, {"displayTimeUnit", "ms"}};
  // In ASCII: messages are others' words, and this may go to a terminal.
  return trace.dump(1, ' ', true, json::error_handler_t::replace) + "\n";
}

}  // namespace cloud
