// SPDX-License-Identifier: Apache-2.0
//
// The small file by which the prolog and the keeper tell the SPANK plugin, `enter` and cloudctl how
// a job's machine is doing: `<run_dir>/<node>/jobs/<job>/state`, "key=value" lines, written by root
// with rename(2) in a directory of root's, readable by the job's user. Pure and without
// dependencies beyond libc, because the plugin compiles it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace cloud {

inline constexpr int kStateProtocol = 1;  ///< a reader refuses any other number

enum class MachinePhase {
  prepared,  ///< the prolog is done; nobody starts the machine yet
  starting,  ///< the keeper has it
  booting,   ///< the backend started it; it is not ready
  ready,
  failed,  ///< it will never be ready; `reason` says why
  ended,   ///< it was ready and has ended by itself; `reason` says why
};

[[nodiscard]] std::string_view to_string(MachinePhase phase);

/// How tasks get into a machine.
enum class MachineEntry {
  none,        ///< they cannot
  namespaces,  ///< setns(2) with init_pid
  ssh,         ///< as ssh_user at address, over the connection in `<dir>/ssh`
  pending,     ///< through ssh, once its sshd answers: the job did not want to wait for that
};

[[nodiscard]] std::string_view to_string(MachineEntry entry);

struct PublishedState {
  int protocol = kStateProtocol;
  std::string version;  ///< of spank-cloud
  std::uint64_t job_id = 0;
  std::uint32_t uid = 0;
  MachinePhase phase = MachinePhase::prepared;
  std::string type;
  std::string image;
  std::string run;      ///< "steps", "all" or "host": the job's mode after site defaults
  std::string machine;  ///< the machine's name
  std::string hostname;
  std::string address;  ///< IPv4, or ""
  MachineEntry entry = MachineEntry::none;
  std::string ssh_user;
  std::string progress;               ///< one line while not ready
  std::string reason;                 ///< one line when failed or ended
  std::int64_t boot_limit_s = 0;      ///< how long the keeper gives the machine; 0 for no word
  std::int64_t keeper_pid = 0;        ///< 0 until the keeper has begun
  std::int64_t init_pid = 0;          ///< 0 until ready
  std::uint64_t init_start_time = 0;  ///< field 22 of /proc/PID/stat, clock ticks since boot
};

/// One "key=value" line a field; control characters of values become spaces.
[[nodiscard]] std::string serialize(const PublishedState& state);
/// Unknown keys are ignored; a missing or other protocol, phase or job_id is an error that names
/// it.
[[nodiscard]] Result<PublishedState> parse_published_state(std::string_view text);

/// `<run_dir>/<node>/jobs/<job>`: holds state, access, log (and nothing that a user can replace).
[[nodiscard]] std::string published_dir(std::string_view run_dir, std::string_view node,
                                        std::uint64_t job_id);

/// Reads `<dir>/state`. An absent file is an Error with os_errno ENOENT.
[[nodiscard]] Result<PublishedState> read_published_state(const std::string& dir);

/// Field 22 of /proc/PID/stat; 0 where there is no such process.
[[nodiscard]] std::uint64_t process_start_time(std::int64_t pid);

}  // namespace cloud
