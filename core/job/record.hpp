// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/job/request.hpp"

namespace cloud {

inline constexpr int kRecordVersion = 1;

enum class RecordPhase {
  preparing,  ///< a prolog runs, or was killed
  prepared,   ///< the prolog is done; the keeper may start the machine
  started,    ///< the keeper has recorded the machine's cgroup and starts it
  failed,     ///< the job shall fail with `failure`
  ending,     ///< an epilog runs, or was killed
};
[[nodiscard]] std::string_view to_string(RecordPhase phase);

/// An address that the job holds, or is about to: written before the lease file changes.
struct LeaseRecord {
  std::string pool;
  std::string address;
  std::string file = {};  ///< of the pool, then: it may have another one by the job's end
};

/// A machine that exists, or is about to: written before the backend is called.
struct MachineRecord {
  std::string backend;  ///< "" where the record was lost: any
  std::string name;
  std::string work_dir;
  std::uint32_t subid_first = 0;
  std::string cgroup;  ///< "" until the keeper is about to start it
  /// Its backend has removed it, and what it had of the network with it; only what does not die, or
  /// cannot be removed, is left: its address is free.
  bool disconnected = false;
};

enum class StageState { begun, done, failed, undone };
[[nodiscard]] std::string_view to_string(StageState state);

/// One stage that began, in order. Times are CLOCK_REALTIME microseconds, for people and traces
/// only.
struct StageTrace {
  std::string list;  ///< "prolog", "keeper" or "epilog"
  std::string name;
  StageState state = StageState::begun;
  std::int64_t begun_us = 0;
  std::int64_t ended_us = 0;
  std::string message;
};

/// The one truth about a job on a node. Every effect is in it before it happens.
struct JobRecord {
  int version = kRecordVersion;
  std::uint64_t job_id = 0;
  std::uint32_t restart_count = 0;
  std::string node;
  std::string boot_id;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string user;
  std::string run_dir;  ///< where the state was published; "" for the configuration's
  RecordPhase phase = RecordPhase::preparing;
  std::optional<Request> request;  ///< absent for a job that failed without asking for a machine
  std::optional<LeaseRecord> lease;
  std::optional<MachineRecord> machine;
  std::string failure;
  std::vector<StageTrace> stages;
  /// When it was saved, in seconds since the node's boot (CLOCK_BOOTTIME), which nobody can set as
  /// the time of day; 0 where an earlier release wrote it.
  std::int64_t saved_s = 0;
};

/// Seconds since the node's boot: what saved_s is compared with.
[[nodiscard]] std::int64_t seconds_since_boot();

/// The record's text, as saved now.
[[nodiscard]] std::string to_json(const JobRecord& record);
/// Blame::node where the text is torn, foreign or of a newer version.
[[nodiscard]] Result<JobRecord> record_from_json(std::string_view text);

}  // namespace cloud
