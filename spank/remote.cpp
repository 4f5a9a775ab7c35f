// SPDX-License-Identifier: Apache-2.0
#include "spank/remote.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>
#include <sstream>
#include <vector>

#include "core/job/published_state.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/root_program.hpp"
#include "spank/components.hpp"

namespace cloud::spank {
namespace {

constexpr std::uint32_t kBatchStep = 0xfffffffb;
constexpr const char* kMultiProg = "SLURM_CLOUD_MULTI_PROG";
constexpr const char* kEscort = "SLURM_CLOUD_ESCORT";

// Of this slurmd; several may share a host. slurmstepd's own variable, and never the task's: that
// one is the user's to choose until Slurm sets it, and the name becomes part of a path that root
// reads.
std::string node_name() {
  const char* name = std::getenv("SLURMD_NODENAME");
  const std::string_view text{name == nullptr ? "" : name};
  if (!text.empty() && text.find('/') == text.npos && text.front() != '.') return std::string{text};
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return std::string{host.data()}.substr(0, std::string_view{host.data()}.find('.'));
}

std::optional<std::string> job_variable(spank_t spank, const std::string& name) {
  std::vector<char> value(std::size_t{64} * 1024);
  if (spank_getenv(spank, name.c_str(), value.data(), static_cast<int>(value.size())) !=
      ESPANK_SUCCESS) {
    return std::nullopt;
  }
  return std::string{value.data()};
}

[[noreturn]] void refuse(const std::string& reason) {
  slurm_error("spank_cloud: %s", reason.c_str());
  ::_exit(kNotStarted);
}

// Whether srun was called with --multi-prog, which the plugin interface does not tell: an option in
// front of the command, which Slurm also takes by any unique beginning.
bool is_multi_prog(const char* command) {
  constexpr std::string_view kOption = "--multi-prog";
  constexpr std::string_view kShortest = "--mu";
  const auto words = read_file("/proc/self/cmdline");
  if (!words) return false;
  std::istringstream all{*words};
  for (std::string word; std::getline(all, word, '\0');) {
    if (word == command) return false;
    if (word.size() >= kShortest.size() && kOption.substr(0, word.size()) == word) return true;
  }
  return false;
}

// The client's plugin has put `enter` in front already, or the node's does it here.
bool runs_enter(char** argv, int argc, const std::string& enter) {
  return argc > 0 && enter == argv[0];
}

void run_inside(spank_t spank, const Installation& installation, const std::string& dir,
                bool is_batch) {
  // Slurm makes each task's arguments of the file by itself: nothing of ours could stand in front.
  if (!is_batch && job_variable(spank, kMultiProg)) {
    refuse(
        "--multi-prog cannot run inside a machine: start one script for all tasks that looks at "
        "SLURM_PROCID, or use --cloud-run=host");
  }
  int argc = 0;
  char** argv = nullptr;
  if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1) {
    refuse("Slurm does not say what the task is: this release of Slurm is not supported");
  }
  const auto enter = installation.libexec + "/enter";
  if (::access(enter.c_str(), X_OK) != 0) {
    refuse(enter + " is not on this node: spank-cloud is not fully installed here");
  }
  if (spank_setenv(spank, "SLURM_CLOUD_DIR", dir.c_str(), 1) != ESPANK_SUCCESS) {
    refuse("cannot set the task's environment");
  }
  // Slurm's copy of the batch script is not in the machine: `enter` opens it before it goes there.
  if (is_batch) spank_setenv(spank, "SLURM_CLOUD_SCRIPT", "1", 1);
  if (runs_enter(argv, argc, enter)) return;
  if (spank_setenv(spank, "SLURM_CLOUD_COMMAND", argv[0], 1) != ESPANK_SUCCESS) {
    refuse("cannot set the task's environment");
  }
  // The array is the task's own; Slurm executes what stands in it after the TaskProlog.
  argv[0] = ::strdup(enter.c_str());
}

// The client did not know that this task stays outside: the job's mode is "host", or another
// component of the job has the machine.
void run_on_host(spank_t spank, const Installation& installation) {
  int argc = 0;
  char** argv = nullptr;
  if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS) return;
  if (!runs_enter(argv, argc, installation.libexec + "/enter")) {
    // Set for another component of a heterogeneous job.
    spank_unsetenv(spank, "SLURM_CLOUD_COMMAND");
    return;
  }
  const auto command = job_variable(spank, "SLURM_CLOUD_COMMAND");
  if (!command) refuse("the step's command got lost on its way");
  argv[0] = ::strdup(command->c_str());
  spank_unsetenv(spank, "SLURM_CLOUD_COMMAND");
}

// To the task's escort: of this process, which is one task's.
int escort_connection = -1;

// It has been started for a task that stays outside after all: the machine has failed since.
void dismiss_escort(spank_t spank) {
  if (escort_connection < 0) return;
  ::close(escort_connection);
  spank_unsetenv(spank, kEscort);
}

// What this step wants; the job's mode is the default.
std::string wanted_mode(spank_t spank, const Options& step_options, const PublishedState& state) {
  const auto& create = step_options.value(Option::create);
  const bool does_without =
      create ? *create == "no" : job_variable(spank, "SLURM_CLOUD_CREATE") == "no";
  if (does_without && !is_heterogeneous(spank)) return "host";
  if (const auto& given = step_options.value(Option::run)) return *given;
  if (const auto variable = job_variable(spank, "SLURM_CLOUD_RUN");
      variable && parse_run(*variable)) {
    return *variable;
  }
  return state.run;
}

bool runs_inside(spank_t spank, const Options& step_options, const PublishedState& state,
                 std::uint32_t step_id) {
  const auto mode = wanted_mode(spank, step_options, state);
  return mode == "all" || (mode == "steps" && step_id != kBatchStep);
}

void check_machine(const Options& step_options, const PublishedState& state) {
  for (const auto option : {Option::type, Option::cloud}) {
    const auto& given = step_options.value(option);
    if (given && *given != state.type) {
      refuse("this step asks for --cloud-type=" + *given + " and its job has a machine of type " +
             state.type + ": a job's steps share its machine");
    }
  }
  const auto& image = step_options.value(Option::image);
  if (image && !state.image.empty() && *image != state.image) {
    refuse("this step asks for --cloud-image=" + *image + " and its job's machine has image " +
           state.image + ": a job's steps share its machine");
  }
}

// Slurm shows a node the options of the command line; what came from a variable or a default of
// the site shows in that srun has put `enter` in front, and for a batch script in what its sbatch
// has told the prolog.
bool asks_for_machine(spank_t spank, const Installation& installation, const Options& step_options,
                      bool is_batch) {
  int argc = 0;
  char** argv = nullptr;
  if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) == ESPANK_SUCCESS &&
      runs_enter(argv, argc, installation.libexec + "/enter")) {
    return true;
  }
  if (job_variable(spank, kMultiProg)) return true;
  const auto& create = step_options.value(Option::create);
  if (create && *create == "no") return false;
  if (step_options.value(Option::type) || step_options.value(Option::cloud)) return true;
  return is_batch && job_variable(spank, "SLURM_SPANK_cloud_create") == "yes";
}

}  // namespace

void wrap_task(spank_t spank, const Installation& installation) {
  int argc = 0;
  char** argv = nullptr;
  if (spank_get_item(spank, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1) return;
  if (is_multi_prog(argv[0])) {
    ::setenv(kMultiProg, "1", 1);
    return;
  }
  ::unsetenv(kMultiProg);
  ::setenv("SLURM_CLOUD_COMMAND", argv[0], 1);
  argv[0] = ::strdup((installation.libexec + "/enter").c_str());
}

namespace {

// Tasks wait for a keeper to say how the machine is doing: one that never came says nothing.
void publish_failure(const std::string& dir, const std::string& reason) {
  auto state = read_published_state(dir);
  if (!state || state->phase == MachinePhase::failed) return;
  state->phase = MachinePhase::failed;
  state->reason = reason;
  auto written = write_file(dir + "/state", serialize(*state),
                            {.mode = 0400, .owner = {}, .durable = false, .reader = state->uid});
  if (!written) slurm_error("spank_cloud: %s", written.error().message.c_str());
}

}  // namespace

void start_keeper(spank_t spank, const Installation& installation) {
  std::uint32_t job_id = 0;
  std::uint64_t memory_mb = 0;
  if (spank_get_item(spank, S_JOB_ID, &job_id) != ESPANK_SUCCESS) return;
  const auto node = node_name();
  const auto dir = published_dir(installation.run_dir, node, job_id);
  const auto state = read_published_state(dir);
  if (!state || state->phase != MachinePhase::prepared) return;
  spank_get_item(spank, S_JOB_ALLOC_MEM, &memory_mb);

  const auto started =
      start_root_program({installation.libexec + "/keeper", "--config", installation.config,
                          "--job", std::to_string(job_id), "--node", node, "--stepd",
                          std::to_string(::getpid()), "--memory-mb", std::to_string(memory_mb)});
  if (!started) {
    slurm_error("spank_cloud: %s", started.error().message.c_str());
    publish_failure(dir, "the machine's keeper cannot be started: " + started.error().message);
    return;
  }
  // The parent half of the keeper ends as soon as the other is in the job's cgroup.
  int status = 0;
  uninterrupted([&] { return ::waitpid(*started, &status, 0); });
  if (status != 0) {
    slurm_error("spank_cloud: the keeper of job %u did not start", job_id);
    publish_failure(dir,
                    "the machine's keeper did not start: the system log of " + node + " says why");
  }
}

void start_escort(spank_t spank, const Installation& installation, const Options& step_options) {
  std::uint32_t job_id = 0;
  std::uint32_t step_id = 0;
  if (spank_get_item(spank, S_JOB_ID, &job_id) != ESPANK_SUCCESS) return;
  spank_get_item(spank, S_JOB_STEPID, &step_id);
  uid_t uid = 0;
  if (spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS || uid == 0) return;
  const auto dir = published_dir(installation.run_dir, node_name(), job_id);
  const auto state = read_published_state(dir);
  const bool is_entered_alone =
      state && state->phase == MachinePhase::ready && state->entry != MachineEntry::namespaces;
  if (!state || state->phase == MachinePhase::failed || is_entered_alone ||
      !runs_inside(spank, step_options, *state, step_id)) {
    return;
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    slurm_error("spank_cloud: socketpair: %s", std::strerror(errno));
    return;
  }
  const auto started = start_root_program({installation.libexec + "/escort", "--dir", dir, "--job",
                                           std::to_string(job_id), "--uid", std::to_string(uid)},
                                          ends[1]);
  ::close(ends[1]);
  // The task's own, through TaskProlog and execve(2), to `enter`.
  if (started && ::fcntl(ends[0], F_SETFD, 0) == 0 &&
      spank_setenv(spank, kEscort, std::to_string(ends[0]).c_str(), 1) == ESPANK_SUCCESS) {
    escort_connection = ends[0];
    return;
  }
  // `enter` asks the keeper then, and says what is wrong where that fails, too.
  if (!started) slurm_error("spank_cloud: %s", started.error().message.c_str());
  ::close(ends[0]);
}

void place_task(spank_t spank, const Installation& installation, const Options& step_options) {
  std::uint32_t job_id = 0;
  std::uint32_t step_id = 0;
  if (spank_get_item(spank, S_JOB_ID, &job_id) != ESPANK_SUCCESS) return;
  spank_get_item(spank, S_JOB_STEPID, &step_id);
  const auto dir = published_dir(installation.run_dir, node_name(), job_id);
  const auto state = read_published_state(dir);
  if (!state) {
    if (state.error().os_errno != ENOENT) refuse(state.error().message);
    if (!asks_for_machine(spank, installation, step_options, step_id == kBatchStep) ||
        is_component_without_machine(spank, job_id)) {
      dismiss_escort(spank);
      run_on_host(spank, installation);
      return;
    }
    refuse("job " + std::to_string(job_id) + " has no machine on node " + node_name() +
           ": ask for it when the job is made (salloc or sbatch --cloud-type=...); where that was "
           "done, "
           "the Prolog of spank-cloud did not run on this node");
  }
  if (state->version != CLOUD_VERSION) {
    refuse("the node's prolog is of spank-cloud " + state->version +
           " and its plugin of " CLOUD_VERSION
           ": the administrators have to install one of them again");
  }
  const bool is_batch = step_id == kBatchStep;
  // Failed before a type was even agreed on.
  if (state->phase == MachinePhase::failed && state->type.empty()) refuse(state->reason);
  if (!is_heterogeneous(spank)) check_machine(step_options, *state);
  const bool inside = runs_inside(spank, step_options, *state, step_id);
  if (state->phase == MachinePhase::failed && (inside || is_batch)) {
    refuse(state->reason);
  }
  if (state->phase == MachinePhase::failed) {
    slurm_error(
        "spank_cloud: the job's machine has failed: %s; this step runs on the node all the same",
        state->reason.c_str());
  }
  spank_setenv(spank, "CLOUD_ACCESS", (dir + "/access").c_str(), 1);
  spank_setenv(spank, "CLOUD_MACHINE", state->hostname.c_str(), 1);
  if (inside) {
    run_inside(spank, installation, dir, is_batch);
  } else {
    dismiss_escort(spank);
    run_on_host(spank, installation);
  }
}

}  // namespace cloud::spank
