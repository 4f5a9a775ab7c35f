// SPDX-License-Identifier: Apache-2.0
#include "hooks/machine_keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <spank-cloud/base/machine_ids.hpp>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/job/cgroup.hpp"
#include "core/job/cgroup_path.hpp"
#include "core/job/oom_count.hpp"
#include "core/log.hpp"
#include "core/machine/boot_watch.hpp"
#include "core/machine/image_digest.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/machine/machine_keys.hpp"
#include "core/machine/machine_network.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/namespace_owner.hpp"
#include "core/machine/ssh_identity.hpp"
#include "core/network/port_guard.hpp"
#include "hooks/spec_builder.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kRecordLockWait = 10s;
constexpr auto kRemoveFailed = 20s;
constexpr unsigned kGroupsOfMachine = 4096;  ///< what systemd in it makes is some hundred
constexpr int kKeptLongest = -900;  ///< of oom_score_adj: after all that serves one machine

UniqueFd open_pidfd(std::int64_t pid) {
  return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0))};
}

bool has_ended(const UniqueFd& pidfd, std::chrono::milliseconds wait) {
  return is_ready_within(pidfd.value(), POLLIN, wait);
}

void set_oom_score(int score) {
  std::ofstream{"/proc/self/oom_score_adj"} << score;
}

std::string own_cgroups() {
  std::ifstream file{"/proc/self/cgroup"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

MachineKeeper::MachineKeeper(const SiteConfig& config, KeeperOrder order,
                             std::function<bool()> cancelled)
    : config_{config},
      order_{std::move(order)},
      cancelled_{std::move(cancelled)},
      store_{config.state_dir, order_.node},
      stages_{store_, order_.job_id} {}

Result<void> MachineKeeper::settle() {
  // A child of slurmstepd has -1000: the kernel would kill everything else of the job first.
  set_oom_score(0);
  stepd_ = open_pidfd(order_.stepd_pid);
  auto locked = store_.lock(order_.job_id, kRecordLockWait);
  if (!locked) return std::move(locked).error();
  if (!*locked) return Error{Blame::cancelled, "the job has no record: nothing to keep"};
  auto loaded = (*locked)->load();
  if (!loaded) return std::move(loaded).error();
  if (!*loaded || (**loaded).phase != RecordPhase::prepared || !(**loaded).machine) {
    return Error{Blame::cancelled, "the job's machine is not waiting to be started"};
  }
  record_ = **loaded;
  auto lock = take_keeper_lock((*locked)->path());
  if (!lock) return std::move(lock).error();
  lock_ = *std::move(lock);
  const auto extern_step = extern_step_path(own_cgroups(), order_.job_id);
  publisher_ = std::make_unique<Publisher>(config_, record_);
  publisher_->state().keeper_pid = ::getpid();
  publisher_->state().boot_limit_s =
      record_.request->timeout.value_or(config_.boot_timeout).count();
  if (!extern_step) {
    fail(extern_step.error());
    return extern_step.error();
  }
  // In the record before a group exists: the epilog knows what to remove.
  record_.machine->cgroup = machine_cgroup_path(*extern_step);
  record_.phase = RecordPhase::started;
  if (auto saved = (*locked)->save(record_); !saved) return saved;
  const auto own = keeper_cgroup(record_.machine->cgroup);
  auto placed = create_cgroup(own);
  bound_groups_below(record_.machine->cgroup, kGroupsOfMachine);
  if (placed) placed = enter_cgroup(own, ::getpid());
  if (!placed) {
    fail(placed.error());
    return placed;
  }
  publish(MachinePhase::starting);
  return {};
}

void MachineKeeper::keep() {
  if (auto up = bring_up(); !up && !cancelled_()) {
    fail(up.error());
    stages_.save();
    remove_failed_machine();
  }
  watch();
}

Result<void> MachineKeeper::bring_up() {
  // What is mounted for the machine is seen by it alone and goes when the last of it ends.
  host_mounts_.reset(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!host_mounts_ || ::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return os_error(Blame::node, "make a private mount namespace", errno);
  }
  // Holds what is going to be mounted until it is.
  SpecBuilder builder{config_, record_, order_.memory_mb};
  auto built = stages_.run("mounts", [&] { return builder.build(); });
  if (!built) return std::move(built).error();
  auto& spec = *built;
  const auto* config = config_.backend(record_.request->type);
  if (config == nullptr) {
    return Error{Blame::site, "backend '" + record_.request->type +
                                  "' was switched off while the job was waiting"};
  }
  if (auto fits = request_fits(*config); !fits) return fits;
  BackendHost host{[this](int level, const std::string& message) {
                     log_line(level == 0 ? LogLevel::error : LogLevel::info, message);
                     if (publisher_) publisher_->log(message);
                   },
                   cancelled_};
  auto backend = open_backend(config_.backend_dir, *config, std::move(host));
  if (!backend) return std::move(backend).error();
  backend_ = *std::move(backend);
  deadline_ =
      std::chrono::steady_clock::now() + record_.request->timeout.value_or(config_.boot_timeout);
  if (auto prepared = prepare_entry(spec); !prepared) return prepared;
  if (auto started = start_machine(spec); !started) return started;
  if (backend_->has_ssh()) return wait_for_ssh(spec);
  become_ready();
  return {};
}

// Known before anything is started, and said in the user's words.
Result<void> MachineKeeper::request_fits(const BackendConfig& config) const {
  const auto table = load_backend_table(config_.backend_dir, config.name, config.notes);
  if (!table || has_ssh_entry(**table)) return {};
  const auto& request = *record_.request;
  if (request.ready && *request.ready != ReadyLevel::boot) {
    return Error{Blame::user, "--cloud-ready=" + std::string{to_string(*request.ready)} +
                                  ": a machine of type " + config.name +
                                  " is not entered through ssh; choose boot"};
  }
  if (!request.user_data.empty()) {
    return Error{Blame::user,
                 "--cloud-user-data: a machine of type " + config.name + " runs no cloud-init"};
  }
  return {};
}

// What the machine is given to be entered by, and the image's integrity: all that takes time and
// needs no machine.
Result<void> MachineKeeper::prepare_entry(MachineSpec& spec) {
  if (const auto* image = config_.image(spec.image.name)) {
    if (!image->sha256.empty()) report("checking the image's digest");
    const auto notes = config_.state_dir + "/" + order_.node + "/digests";
    auto good =
        stages_.run("digest", [&] { return check_image_digests(*image, notes, cancelled_); });
    if (!good) return good;
  }
  if (!backend_->has_ssh()) return {};
  if (!spec.network) {
    return Error{Blame::site, "machines of type " + record_.request->type +
                                  " are entered through ssh and need an address: name a pool in "
                                  "[backend." +
                                  record_.request->type + "]"};
  }
  auto keys = stages_.run("keys", [&] {
    return make_machine_keys(store_.job_path(order_.job_id), publisher_->dir(), spec);
  });
  if (!keys) return std::move(keys).error();
  spec.ssh = *std::move(keys);
  return {};
}

Result<void> MachineKeeper::start_machine(const MachineSpec& spec) {
  publisher_->log("starting machine " + spec.name + " (" + record_.request->type + ", image " +
                  spec.image.name + ", " + std::to_string(spec.cpu_count) + " CPUs, " +
                  std::to_string(spec.memory_bytes >> 20) + " MiB)");
  const auto place = [&](const std::string& cgroup, std::int64_t pid) -> Result<void> {
    if (cgroup != spec.cgroup && !cgroup.starts_with(spec.cgroup + "/")) {
      return Error{Blame::internal, "place(): " + cgroup + " is not the machine's group"};
    }
    if (auto made = create_cgroup(cgroup); !made) return made;
    return enter_cgroup_with_threads(cgroup, static_cast<pid_t>(pid));
  };
  const auto guard = [&](const std::string& port) { return guard_port(spec, port); };
  auto started = stages_.run("start", [&] {
    return backend_->start(spec, deadline_, {place, guard});
  });
  if (!started) return started;
  watch_network(spec);
  const auto begun = backend_->info(machine_ref(*record_.machine));
  if (!begun) return begun.error();
  if (auto unowned = require_unowned_machine(begun->init_pid); !unowned) return unowned;
  const auto ref = machine_ref(*record_.machine);
  if (backend_->has_console()) {
    auto stream = backend_->console(ref);
    if (!stream) return std::move(stream).error();
    auto relay = ConsoleRelay::start(publisher_->dir(), spec.user, sdk::engine_id(spec.subid_first),
                                     *std::move(stream));
    if (!relay) return std::move(relay).error();
    console_ = *std::move(relay);
  }
  publish(MachinePhase::booting);
  auto ready = stages_.run("boot", [&] {
    return backend_->wait_ready(ref, deadline_,
                                [this](const std::string& phase) { report(phase); });
  });
  if (!ready) return ready;
  const auto info = backend_->info(ref);
  if (!info) return info.error();
  main_process_ = open_pidfd(info->main_pid);
  const bool has_main_process = begun->main_pid > 0 || info->main_pid > 0;
  if (has_main_process && !main_process_) return Error{Blame::node, end_of_machine()};
  auto& state = publisher_->state();
  if (info->init_pid > 0) {
    // That very process: another may have been named before.
    if (auto unowned = require_unowned_machine(info->init_pid); !unowned) return unowned;
    auto door = Door::open(publisher_->dir(), order_.job_id, spec.user.uid,
                           record_.machine->cgroup + "/entered");
    if (!door) return std::move(door).error();
    door_ = *std::move(door);
    state.entry = MachineEntry::namespaces;
    state.init_pid = info->init_pid;
    state.init_start_time = process_start_time(info->init_pid);
  }
  return {};
}

// Called in start(), maybe by a child of ours: what it notes in memory is lost.
Result<void> MachineKeeper::guard_port(const MachineSpec& spec, const std::string& port) {
  if (!spec.network || !record_.lease) {
    return Error{Blame::internal, "guard_port(): the machine has no network"};
  }
  if (auto noted = note_port(spec.work_dir, port); !noted) return noted;
  const auto* pool = config_.pool(record_.lease->pool);
  // Of a run before, when the site had them.
  if (pool == nullptr || !pool->filter) return remove_port_guard(spec.name);
  const auto plan = plan_port_guard(config_, *pool, spec, port);
  return plan ? set_port_guard(*plan) : Result<void>{plan.error()};
}

void MachineKeeper::watch_network(const MachineSpec& spec) {
  const auto* pool = record_.lease ? config_.pool(record_.lease->pool) : nullptr;
  if (pool == nullptr || !pool->filter || !spec.network) return;
  network_.emplace(config_, *pool, spec);
}

// Whoever owns the user namespace of a machine may trace its processes and take their descriptors.
Result<void> MachineKeeper::require_unowned_machine(std::int64_t init_pid) {
  if (init_pid <= 0) return {};
  auto good = require_no_owner(init_pid, record_.uid);
  if (good) return good;
  return std::move(good).error().within("backend '" + record_.request->type + "'");
}

Result<void> MachineKeeper::wait_for_ssh(const MachineSpec& spec) {
  auto& state = publisher_->state();
  state.ssh_user = spec.user.name;
  const auto level = record_.request->ready.value_or(ReadyLevel::ssh);
  BootSigns signs{cancelled_, [this] { return machine_is_alive(); },
                  [this] { return console_ ? console_->bytes() : 0; },
                  [this] { return console_ ? console_->last_line() : std::string{}; },
                  [this](const std::string& phase) {
                    report(phase);
                    stages_.save();
                  }};
  auto identity = SshIdentity::make(spec.user, spec.subid_first);
  if (!identity) return std::move(identity).error();
  BootWatch watch{{publisher_->dir(), spec.name, spec.user.name, spec.network->address},
                  identity->credentials(),
                  std::move(signs),
                  {deadline_, config_.stall_timeout}};
  // What follows takes seconds: where it hangs shall be seen.
  stages_.save();
  auto up = stages_.run("kernel", [&] { return watch.wait_for(ReadyLevel::boot); });
  if (!up) return up;
  if (level == ReadyLevel::boot) {
    state.entry = MachineEntry::pending;
    become_ready();
  }
  auto in = stages_.run("ssh", [&] { return watch.wait_for(ReadyLevel::ssh); });
  if (in && level == ReadyLevel::cloud_init) {
    in = stages_.run("cloud-init", [&] { return watch.wait_for(level); });
  }
  if (!in) {
    if (level != ReadyLevel::boot || cancelled_()) return in;
    // The job has what it wanted: a machine that runs.
    state.entry = MachineEntry::none;
    state.reason = in.error().message;
    publish(MachinePhase::ready);
    publisher_->log(state.reason);
    return {};
  }
  state.entry = MachineEntry::ssh;
  become_ready();
  return {};
}

Result<void> MachineKeeper::machine_is_alive() {
  if (network_) network_->look();
  if (!main_process_ || !has_ended(main_process_, 0ms)) return {};
  return Error{Blame::node, end_of_machine() + ", while it booted"};
}

void MachineKeeper::become_ready() {
  if (network_) network_->hurry();
  publish(MachinePhase::ready);
  publisher_->log("the machine is ready");
  // Nobody waits for this any more.
  stages_.mark("ready");
  stages_.save();
}

// A machine that will never be ready does not use up the job's time; the epilog finds nothing left.
void MachineKeeper::remove_failed_machine() {
  if (!backend_ || !record_.machine) return;
  main_process_.reset();
  const auto ref = machine_ref(*record_.machine);
  auto destroyed = backend_->destroy(ref, std::chrono::steady_clock::now() + kRemoveFailed);
  if (!destroyed) log_line(LogLevel::error, destroyed.error().message);
}

Result<void> MachineKeeper::leave_machine() {
  set_oom_score(0);
  if (auto moved = enter_cgroup("/", ::getpid()); !moved) return moved;
  // The user's folders are mounted in ours, below what is going to be removed.
  if (host_mounts_ && ::setns(host_mounts_.value(), CLONE_NEWNS) != 0) {
    return os_error(Blame::node, "go back to the mounts of the host", errno);
  }
  return {};
}

std::string MachineKeeper::end_of_machine() const {
  // Of the machine's own group: what its job's other processes take is not its fault.
  return oom_kills(record_.machine->cgroup) > 0
             ? "the machine has ended: the job has run out of memory, and the kernel chose the "
               "machine; ask for more (--mem)"
             : "the machine has ended by itself";
}

// Until the machine ends, somebody knocks, or it is time to look whether we are asked to end.
void MachineKeeper::wait_for_something() {
  constexpr int kLookMs = 200;
  std::array<pollfd, 3> wanted{pollfd{main_process_ ? main_process_.value() : -1, POLLIN, 0},
                               pollfd{door_ ? door_->fd() : -1, POLLIN, 0},
                               pollfd{network_ ? network_->events() : -1, POLLIN, 0}};
  if (::poll(wanted.data(), wanted.size(), kLookMs) <= 0) return;
  if (wanted[1].revents != 0) door_->answer();
  if (wanted[2].revents != 0) network_->hear();
  if (wanted[0].revents == 0) return;
  main_process_.reset();
  // Also what an epilog or scancel does: then nobody reads it any more.
  publisher_->state().reason = end_of_machine();
  publish(MachinePhase::ended);
  publisher_->log(publisher_->state().reason);
}

void MachineKeeper::watch() {
  // What it has started by now keeps the ordinary score. A user who fills the job's memory must not
  // have the one process killed that holds the machine's mounts, and shuts them at the end.
  set_oom_score(kKeptLongest);
  auto gone_since = std::chrono::steady_clock::time_point::max();
  while (!cancelled_()) {
    wait_for_something();
    if (network_) network_->look();
    if (stepd_ && !has_ended(stepd_, 0ms)) continue;
    const auto now = std::chrono::steady_clock::now();
    if (gone_since == std::chrono::steady_clock::time_point::max()) gone_since = now;
    if (now - gone_since < config_.orphan_grace) continue;
    orphaned_ = true;
    return;
  }
}

void MachineKeeper::publish(MachinePhase phase) {
  publisher_->state().phase = phase;
  if (auto published = publisher_->publish(); !published) {
    log_line(LogLevel::error, published.error().message);
  }
}

void MachineKeeper::report(const std::string& progress) {
  publisher_->state().progress = progress;
  publisher_->log(progress);
  publish(MachinePhase::booting);
}

void MachineKeeper::fail(const Error& error) {
  log_line(LogLevel::error,
           "the machine failed (" + std::string{to_string(error.blame)} + "): " + error.message);
  publisher_->state().reason = error.message;
  publish(MachinePhase::failed);
  publisher_->log("failed: " + error.message);
}

}  // namespace cloud
