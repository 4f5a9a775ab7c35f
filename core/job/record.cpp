// SPDX-License-Identifier: Apache-2.0
#include "core/job/record.hpp"

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

namespace cloud {
namespace {

using nlohmann::json;

constexpr std::array kPhases{RecordPhase::preparing, RecordPhase::prepared, RecordPhase::started,
                             RecordPhase::failed, RecordPhase::ending};
constexpr std::array kStageStates{StageState::begun, StageState::done, StageState::failed,
                                  StageState::undone};

template <typename Enum, std::size_t Count>
Enum from_name(const std::array<Enum, Count>& all, const std::string& name) {
  for (const auto value : all) {
    if (to_string(value) == name) return value;
  }
  throw std::invalid_argument{"unknown word '" + name + "'"};
}

json to_value(const Request& request) {
  json mounts = json::array();
  for (const auto& mount : request.mounts) {
    mounts.push_back(
        {{"source", mount.source}, {"target", mount.target}, {"read_only", mount.read_only}});
  }
  return {{"type", request.type},
          {"image", request.image},
          {"run", request.run ? std::string{to_string(*request.run)} : std::string{}},
          {"ready", request.ready ? std::string{to_string(*request.ready)} : std::string{}},
          {"timeout_s", request.timeout ? request.timeout->count() : 0},
          {"user_data", request.user_data},
          {"mounts", mounts}};
}

// A record is read as root with decisions to follow, so the request passes the same grammar as it
// did in the prolog.
Request request_from(const json& value) {
  Request request;
  auto type = parse_type(value.at("type").get<std::string>());
  if (!type) throw std::invalid_argument{type.error().message};
  request.type = *type;
  request.image = value.at("image").get<std::string>();
  if (!request.image.empty() && !parse_image(request.image)) {
    throw std::invalid_argument{"bad image name"};
  }
  if (const auto run = value.at("run").get<std::string>(); !run.empty()) {
    const auto mode = parse_run(run);
    if (!mode) throw std::invalid_argument{mode.error().message};
    request.run = *mode;
  }
  if (const auto ready = value.value("ready", std::string{}); !ready.empty()) {
    const auto level = parse_ready(ready);
    if (!level) throw std::invalid_argument{level.error().message};
    request.ready = *level;
  }
  if (const auto seconds = value.value("timeout_s", std::int64_t{0}); seconds > 0) {
    request.timeout = std::chrono::seconds{seconds};
  }
  request.user_data = value.value("user_data", std::string{});
  for (const auto& mount : value.at("mounts")) {
    request.mounts.push_back({mount.at("source").get<std::string>(),
                              mount.at("target").get<std::string>(),
                              mount.at("read_only").get<bool>()});
  }
  return request;
}

}  // namespace

std::string_view to_string(RecordPhase phase) {
  switch (phase) {
    case RecordPhase::preparing:
      return "preparing";
    case RecordPhase::prepared:
      return "prepared";
    case RecordPhase::started:
      return "started";
    case RecordPhase::failed:
      return "failed";
    case RecordPhase::ending:
      return "ending";
  }
  return "invalid";
}

std::string_view to_string(StageState state) {
  switch (state) {
    case StageState::begun:
      return "begun";
    case StageState::done:
      return "done";
    case StageState::failed:
      return "failed";
    case StageState::undone:
      return "undone";
  }
  return "invalid";
}

std::int64_t seconds_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

std::string to_json(const JobRecord& record) {
  json stages = json::array();
  for (const auto& stage : record.stages) {
    stages.push_back({{"list", stage.list},
                      {"name", stage.name},
                      {"state", to_string(stage.state)},
                      {"begun_us", stage.begun_us},
                      {"ended_us", stage.ended_us},
                      {"message", stage.message}});
  }
  json value{{"version", record.version},
             {"job_id", record.job_id},
             {"restart_count", record.restart_count},
             {"node", record.node},
             {"boot_id", record.boot_id},
             {"uid", record.uid},
             {"gid", record.gid},
             {"user", record.user},
             {"run_dir", record.run_dir},
             {"phase", to_string(record.phase)},
             {"failure", record.failure},
             {"saved_s", seconds_since_boot()},
             {"stages", stages}};
  if (record.request) value["request"] = to_value(*record.request);
  if (record.lease) {
    value["lease"] = {{"pool", record.lease->pool},
                      {"address", record.lease->address},
                      {"file", record.lease->file}};
  }
  if (record.machine) {
    value["machine"] = {
        {"backend", record.machine->backend},   {"name", record.machine->name},
        {"work_dir", record.machine->work_dir}, {"subid_first", record.machine->subid_first},
        {"cgroup", record.machine->cgroup},     {"disconnected", record.machine->disconnected}};
  }
  return value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<JobRecord> record_from_json(std::string_view text) {
  try {
    const auto value = json::parse(text);
    JobRecord record;
    record.version = value.at("version").get<int>();
    if (record.version != kRecordVersion) {
      return Error{Blame::node, "the record has version " + std::to_string(record.version) +
                                    " and this program reads version " +
                                    std::to_string(kRecordVersion)};
    }
    record.job_id = value.at("job_id").get<std::uint64_t>();
    record.restart_count = value.at("restart_count").get<std::uint32_t>();
    record.node = value.at("node").get<std::string>();
    record.boot_id = value.at("boot_id").get<std::string>();
    record.uid = value.at("uid").get<std::uint32_t>();
    record.gid = value.at("gid").get<std::uint32_t>();
    record.user = value.at("user").get<std::string>();
    record.run_dir = value.at("run_dir").get<std::string>();
    record.phase = from_name(kPhases, value.at("phase").get<std::string>());
    record.failure = value.at("failure").get<std::string>();
    record.saved_s = value.value("saved_s", std::int64_t{0});
    if (value.contains("request")) record.request = request_from(value["request"]);
    if (value.contains("lease")) {
      const auto& lease = value["lease"];
      record.lease = {lease.at("pool").get<std::string>(), lease.at("address").get<std::string>(),
                      lease.at("file").get<std::string>()};
    }
    if (value.contains("machine")) {
      const auto& machine = value["machine"];
      record.machine = {
          machine.at("backend").get<std::string>(),  machine.at("name").get<std::string>(),
          machine.at("work_dir").get<std::string>(), machine.at("subid_first").get<std::uint32_t>(),
          machine.at("cgroup").get<std::string>(),   machine.value("disconnected", false)};
    }
    for (const auto& stage : value.at("stages")) {
      record.stages.push_back(
          {stage.at("list").get<std::string>(), stage.at("name").get<std::string>(),
           from_name(kStageStates, stage.at("state").get<std::string>()),
           stage.at("begun_us").get<std::int64_t>(), stage.at("ended_us").get<std::int64_t>(),
           stage.at("message").get<std::string>()});
    }
    return record;
  } catch (const std::exception& problem) {
    return Error{Blame::node, std::string{"the record cannot be read: "} + problem.what()};
  }
}

}  // namespace cloud
