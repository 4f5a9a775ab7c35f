// SPDX-License-Identifier: Apache-2.0
#include "hooks/machine_keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <thread>

#include "core/job/cgroup.hpp"
#include "core/log.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/user_account.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kRecordLockWait = 10s;
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 50;

UniqueFd open_pidfd(std::int64_t pid) {
  return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0))};
}

bool has_ended(const UniqueFd& pidfd, std::chrono::milliseconds wait) {
  pollfd wanted{pidfd.value(), POLLIN, 0};
  return ::poll(&wanted, 1, static_cast<int>(wait.count())) == 1;
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
      store_{config.state_dir, order_.node} {}

Result<void> MachineKeeper::settle() {
  // A child of slurmstepd has -1000: the kernel would kill everything else of the job first.
  std::ofstream{"/proc/self/oom_score_adj"} << "0";
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
  if (!extern_step) {
    fail(extern_step.error());
    return extern_step.error();
  }
  // In the record before a group exists: the epilog knows what to remove.
  record_.machine->cgroup = machine_cgroup_path(*extern_step);
  record_.phase = RecordPhase::started;
  if (auto saved = (*locked)->save(record_); !saved) return saved;
  const auto own = record_.machine->cgroup + "/keeper";
  auto placed = create_cgroup(own);
  if (placed) placed = enter_cgroup(own, ::getpid());
  if (!placed) {
    fail(placed.error());
    return placed;
  }
  publish(MachinePhase::starting);
  return {};
}

void MachineKeeper::keep() {
  if (auto up = bring_up(); !up) {
    if (!cancelled_()) fail(up.error());
  }
  watch();
}

Result<void> MachineKeeper::make_spec(MachineSpec& spec) {
  auto planned = plan_machine(config_, record_);
  if (!planned) return std::move(planned).error();
  spec = *std::move(planned);
  auto user = look_up_user(record_);
  if (!user) return std::move(user).error();
  spec.user = *std::move(user);
  const auto cpus = cgroup_value("cpuset", spec.cgroup, "cpuset.cpus");
  if (!cpus) return cpus.error();
  spec.cpus = *cpus;
  spec.cpu_count = count_cpu_list(*cpus);
  const auto job_group = spec.cgroup.substr(0, spec.cgroup.find("/step_extern"));
  const auto limit = cgroup_value("memory", job_group, "memory.limit_in_bytes");
  if (!limit) return limit.error();
  const auto bytes = std::strtoull(limit->c_str(), nullptr, 10);
  spec.memory_bytes = bytes > 0 && bytes < kNoLimit ? bytes : order_.memory_mb << 20;
  return add_mounts(spec);
}

Result<void> MachineKeeper::add_mounts(MachineSpec& spec) {
  const auto add = [&](MachineMount mount) -> Result<void> {
    for (const auto& other : spec.mounts) {
      if (other.target == mount.target) {
        return Error{Blame::user, "two mounts at " + mount.target + " in the machine"};
      }
    }
    auto source = open_as_user(spec.user, mount.source);
    if (!source) return std::move(source).error();
    mount.source_fd = source->value();
    sources_.push_back(*std::move(source));
    spec.mounts.push_back(std::move(mount));
    return {};
  };
  if (config_.mount_home && spec.user.home.starts_with('/') && spec.user.home != "/") {
    // A user without a home on this node still gets a machine.
    struct stat status {};
    if (::stat(spec.user.home.c_str(), &status) == 0) {
      if (auto done = add({spec.user.home, spec.user.home, false, -1}); !done) return done;
    }
  }
  for (const auto& mount : config_.mounts) {
    auto done = add({mount.source, mount.target, mount.read_only, -1});
    if (!done) return std::move(done).error().within(mount.where.text());
  }
  for (const auto& mount : record_.request->mounts) {
    auto done = add({mount.source, mount.target, mount.read_only, -1});
    if (!done) return std::move(done).error().within("--cloud-mount");
  }
  return {};
}

Result<void> MachineKeeper::bring_up() {
  // What is mounted for the machine is seen by it alone and goes when the last of it ends.
  host_mounts_.reset(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!host_mounts_ || ::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return os_error(Blame::node, "make a private mount namespace", errno);
  }
  MachineSpec spec;
  if (auto made = make_spec(spec); !made) return made;
  const auto* config = config_.backend(record_.request->type);
  if (config == nullptr) {
    return Error{Blame::site, "backend '" + record_.request->type +
                                  "' was switched off while the job was waiting"};
  }
  BackendHost host{[this](int level, const std::string& message) {
                     log_line(level == 0 ? LogLevel::error : LogLevel::info, message);
                     if (publisher_) publisher_->log(message);
                   },
                   cancelled_};
  auto backend = open_backend(config_.backend_dir, *config, std::move(host));
  if (!backend) return std::move(backend).error();
  backend_ = *std::move(backend);
  const auto deadline = std::chrono::steady_clock::now() + config_.boot_timeout;
  publisher_->log("starting machine " + spec.name + " (" + record_.request->type + ", image " +
                  spec.image.name + ", " + std::to_string(spec.cpu_count) + " CPUs, " +
                  std::to_string(spec.memory_bytes >> 20) + " MiB)");
  if (auto started = backend_->start(spec, deadline); !started) return started;
  sources_.clear();
  publish(MachinePhase::booting);
  const auto ref = machine_ref(*record_.machine);
  auto ready =
      backend_->wait_ready(ref, deadline, [this](const std::string& phase) { report(phase); });
  if (!ready) return ready;
  const auto info = backend_->info(ref);
  if (!info) return info.error();
  auto& state = publisher_->state();
  state.init_pid = info->init_pid;
  state.init_start_time = process_start_time(info->init_pid);
  if (auto written = publisher_->write_access_script(); !written) return written;
  publish(MachinePhase::ready);
  publisher_->log("the machine is ready");
  return {};
}

Result<void> MachineKeeper::leave_machine() {
  if (auto moved = enter_cgroup("/", ::getpid()); !moved) return moved;
  // The user's folders are mounted in ours, below what is going to be removed.
  if (host_mounts_ && ::setns(host_mounts_.value(), CLONE_NEWNS) != 0) {
    return os_error(Blame::node, "go back to the mounts of the host", errno);
  }
  return {};
}

void MachineKeeper::watch() {
  const auto init_pid = publisher_->state().init_pid;
  auto init = init_pid > 0 ? open_pidfd(init_pid) : UniqueFd{};
  auto gone_since = std::chrono::steady_clock::time_point::max();
  while (!cancelled_()) {
    if (init && has_ended(init, 200ms)) {
      init.reset();
      // Also what an epilog or scancel does: then nobody reads it any more.
      publisher_->state().reason = "the machine has ended by itself: its init is gone";
      publish(MachinePhase::ended);
      publisher_->log(publisher_->state().reason);
    } else if (!init) {
      std::this_thread::sleep_for(200ms);
    }
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
