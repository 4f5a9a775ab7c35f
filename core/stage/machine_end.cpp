// SPDX-License-Identifier: Apache-2.0
#include "core/stage/machine_end.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/job/cgroup.hpp"
#include "core/job/cgroup_processes.hpp"
#include "core/log.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/machine/machine_layers.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/network/port_guard.hpp"
#include "core/system/trash.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

// The most that each step may have of the hook's time.
constexpr auto kKeeperGrace = 3s;
constexpr auto kKeeperKill = 5s;
constexpr auto kKillLimit = 5s;
constexpr auto kKillAgain = 1s;
constexpr auto kDestroyLimit = 30s;
constexpr auto kShutLimit = 3s;
constexpr auto kGroupsLimit = 5s;
constexpr auto kRemoveLimit = 5s;

// One that was disabled since, or has left the configuration, still has to clean up.
std::vector<BackendConfig> backends_for_cleanup(const SiteConfig& config, const std::string& name) {
  std::vector<BackendConfig> found;
  for (const auto& backend : config.backends) {
    if (name.empty() ? backend.enabled : backend.name == name) found.push_back(backend);
  }
  if (found.empty() && !name.empty()) {
    BackendConfig unknown;
    unknown.name = name;
    found.push_back(std::move(unknown));
  }
  return found;
}

class MachineEnd {
 public:
  explicit MachineEnd(Session& session)
      : session_{session},
        machine_{*session.record.machine},
        ref_{machine_ref(*session.record.machine)} {}

  Result<void> run() {
    // Before it ends: the mounts end with it, but not for who holds a file of theirs.
    const auto mounts = machine_mounts(session_.locked.path(), ref_.cgroup, ref_.work_dir);
    must("keeper",
         end_keeper(session_.locked.path(), ref_.cgroup, share(kKeeperGrace), share(kKeeperKill)));
    open_backends();
    stop();
    // Before destroy(): what holds the machine's files open or its mounts busy is gone then.
    is_dead_ = is_killed(kKillLimit);
    const bool is_destroyed = destroy();
    // It may have let go of what held up the others' end.
    if (!is_dead_) {
      // More groups than can be looked into in time are fewer next time.
      remove_groups();
      is_dead_ = is_killed(kKillAgain);
    }
    must("layers", shut_machine_layers(mounts, ref_.work_dir, share(kShutLimit)));
    remove_groups();
    const bool is_removed = remove_folder();
    // That nothing is left in the machine's groups does not tell: what serves a machine may have
    // been started elsewhere, and not have been placed there yet. A backend that cannot be loaded,
    // or not destroy, is asked again by the next hooks.
    const bool is_gone = is_destroyed || !may_have_started() || (is_nobodys() && is_dead_);
    // What held the machine back goes after the port that it was at.
    const bool is_free = !is_gone || must("rules of its port", remove_rules());
    machine_.disconnected = machine_.disconnected || is_gone;
    if (is_dead_ && is_gone && is_removed && is_free) {
      session_.record.machine.reset();
      return session_.save();
    }
    if (auto saved = session_.save(); !saved) return saved;
    return Error{Blame::node, "not all of machine '" + ref_.name + "' is gone" +
                                  (left_.empty() ? "" : ": " + left_)};
  }

 private:
  [[nodiscard]] std::chrono::milliseconds share(std::chrono::milliseconds most) const {
    return session_.budget.share(most);
  }

  bool must(const std::string& step, const Result<void>& done) {
    if (done) return true;
    log_line(LogLevel::error, "end machine '" + ref_.name + "': " + step + ": " +
                                  done.error().message + "; going on");
    return false;
  }

  void open_backends() {
    for (const auto& config : backends_for_cleanup(session_.config, machine_.backend)) {
      // Never cancelled: a clean-up is what a cancellation leads to.
      auto opened = open_backend(session_.config.backend_dir, config, logging_host({}));
      if (opened) {
        backends_.push_back(*std::move(opened));
      } else {
        must("without backend '" + config.name + "'", opened.error());
        left_ = opened.error().message;
        has_all_backends_ = false;
      }
    }
  }

  void stop() {
    if (ref_.cgroup.empty()) return;
    for (const auto& backend : backends_) {
      must("stop", backend->stop(ref_, session_.budget.until(session_.config.stop_timeout)));
    }
  }

  bool is_killed(std::chrono::milliseconds most) {
    if (ref_.cgroup.empty()) return true;
    const auto killed = kill_cgroup(ref_.cgroup, share(most));
    if (!killed) left_ = killed.error().message;
    return must("kill", killed);
  }

  // The keeper records the group before it starts anything. A record without a request is of a
  // machine that was found without one.
  [[nodiscard]] bool may_have_started() const {
    return !ref_.cgroup.empty() || !session_.record.request;
  }

  // Of a lost record, where no backend is enabled that could have made it.
  [[nodiscard]] bool is_nobodys() const { return machine_.backend.empty() && backends_.empty(); }

  bool destroy() {
    bool all = has_all_backends_ && !backends_.empty();
    for (const auto& backend : backends_) {
      const auto destroyed = backend->destroy(ref_, session_.budget.until(kDestroyLimit));
      if (!destroyed && left_.empty()) left_ = destroyed.error().message;
      all = must("destroy", destroyed) && all;
    }
    return all;
  }

  // Whether it had an address or not: a record may have lost it by now.
  [[nodiscard]] Result<void> remove_rules() {
    auto removed = remove_port_guard(ref_.name);
    if (!removed && left_.empty()) left_ = removed.error().message;
    return removed;
  }

  void remove_groups() {
    if (ref_.cgroup.empty()) return;
    for (const auto& stayed : remove_job_cgroups(ref_.cgroup, share(kGroupsLimit))) {
      log_line(LogLevel::warn, "the cgroup " + stayed + " could not be removed");
    }
  }

  // Also where a process is left: what it has open lives on without a name, and nothing is found by
  // name any more.
  bool remove_folder() {
    const auto removed =
        remove_or_discard(ref_.work_dir, session_.store.trash_dir(), share(kRemoveLimit), owners());
    if (!removed) left_ = removed.error().message;
    return must("folder", removed);
  }

  // Of a machine whose record was lost, the range is some machine's.
  [[nodiscard]] TreeOwners owners() const {
    constexpr std::uint32_t kIdsOfMachine = 65536;
    const auto& config = session_.config;
    const bool is_known = machine_.subid_first != 0;
    return {is_known ? machine_.subid_first : config.subid_first,
            is_known ? kIdsOfMachine : config.subid_count, session_.record.uid};
  }

  Session& session_;
  MachineRecord& machine_;
  MachineRef ref_;
  std::vector<std::unique_ptr<Backend>> backends_;
  bool has_all_backends_ = true;
  bool is_dead_ = false;
  std::string left_;
};

}  // namespace

BackendHost logging_host(std::function<bool()> cancelled) {
  return {[](int level, const std::string& message) {
            log_line(level == 0   ? LogLevel::error
                     : level == 1 ? LogLevel::warn
                                  : LogLevel::info,
                     message);
          },
          std::move(cancelled)};
}

Result<void> end_machine(Session& session) {
  if (!session.record.machine) return {};
  return MachineEnd{session}.run();
}

}  // namespace cloud
