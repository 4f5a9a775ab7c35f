// SPDX-License-Identifier: Apache-2.0
//
// A machine belongs to nobody who can log in: its user, from another process of the node, tries all
// that one process can do to another, in a loop from before start() until the machine runs.
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <new>
#include <thread>

#include "tools/backend_check/check.hpp"
#include "tools/backend_check/machine_processes.hpp"
#include "tools/backend_check/namespace_owner.hpp"
#include "tools/backend_check/process_tree.hpp"
#include "tools/backend_check/reach.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

// How often each process of a machine that runs is tried, and for how long at most.
constexpr unsigned kRounds = 30;
constexpr auto kLifeLimit = 10s;

/// What the user's process and the keeper's tell each other.
struct Watch {
  std::atomic<pid_t> keeper{0};
  std::atomic<bool> runs{false};      ///< the machine; false while it is being started
  std::atomic<unsigned> rounds{0};    ///< through all the machine's processes
  std::atomic<unsigned> attempts{0};  ///< on another process than the keeper
  std::atomic<bool> is_over{false};
};

std::shared_ptr<Watch> make_watch() {
  void* page =
      ::mmap(nullptr, sizeof(Watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return {};
  return {new (page) Watch, [](Watch* watch) { ::munmap(watch, sizeof *watch); }};
}

// JUSTIFICATION: the attempts must have the user's rights and none besides.
Result<void> become(const MachineUser& user) {
  if (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
      ::setresgid(user.gid, user.gid, user.gid) != 0 ||
      ::setresuid(user.uid, user.uid, user.uid) != 0) {
    return os_error(Blame::node, "become " + user.name, errno);
  }
  // The change of ids has cleared both; an attacker's own process can be traced like any.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 1);
  return {};
}

// As the user: what was possible first, or "".
Result<std::string> try_all(const Trial& trial, MachineProcesses machine, Watch& watch) {
  if (auto done = become(trial.spec.user); !done) return std::move(done).error();
  for (; !watch.is_over; ++watch.rounds) {
    for (const auto pid : machine.find()) {
      if (pid == ::getpid()) continue;
      const bool runs = watch.runs;
      const auto reached = reach_of(pid);
      if (pid != watch.keeper) ++watch.attempts;
      if (reached.empty()) continue;
      ProcessEntry process;
      for (auto& entry : all_processes()) {
        if (entry.pid == pid) process = std::move(entry);
      }
      process.pid = pid;
      std::string ways;
      for (const auto& way : reached) ways += (ways.empty() ? "" : ", ") + way;
      return std::string{"from outside, while the machine "} +
             (runs ? "runs" : "is being started") + ", its user " + trial.spec.user.name +
             " can reach process " + describe(process) + " of it: " + ways;
    }
  }
  return std::string{};
}

// "" where nobody who can log in owns a namespace of these processes.
std::string owner_with_an_account(const std::vector<ProcessEntry>& machine,
                                  const MachineUser& user) {
  for (const auto& process : machine) {
    for (const auto& owner : namespace_owners(process.pid)) {
      const auto* account = ::getpwuid(owner.uid);
      if (owner.uid == 0 || (owner.uid != user.uid && account == nullptr)) continue;
      return "the user namespace behind the " + owner.of + " namespace of process " +
             describe(process) + " belongs to uid " + std::to_string(owner.uid) + " (" +
             (account != nullptr ? account->pw_name : user.name) +
             "), who may enter it and trace what runs there, also while root starts it: make it "
             "with UserNamespace of spank-cloud/user_namespace.hpp, whose owner nobody can log in "
             "as";
    }
  }
  return {};
}

void let_it_try(const Watch& watch) {
  const auto end = in(kLifeLimit);
  // One that is under way has begun too early.
  const auto enough = watch.rounds + kRounds + 1;
  while (watch.rounds < enough && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(1ms);
  }
}

struct Life {
  std::string fault;     ///< of the owner, or ""
  bool has_any = false;  ///< process
};

Result<Life> live(const Trial& trial, Watch& watch, const Worker& intruder, Subject& subject) {
  watch.keeper = ::getpid();
  // It is at it before there is anything to reach.
  while (watch.rounds == 0 && !intruder.has_ended()) std::this_thread::sleep_for(1ms);
  if (auto done = trial.bring_up(subject); !done) return std::move(done).error();
  cloud_machine_info info{};
  if (auto done = must(subject.info(trial.ref(), info)); !done) return std::move(done).error();
  watch.runs = true;
  const auto look = [&] {
    auto machine = trial.processes(info);
    std::erase_if(machine, [&](const auto& process) { return process.pid == intruder.pid(); });
    return Life{owner_with_an_account(machine, trial.spec.user), !machine.empty()};
  };
  auto life = look();
  let_it_try(watch);
  // One of its processes may have become another's only now.
  if (life.fault.empty()) life = look();
  if (auto done = trial.destroy(subject); !done) return std::move(done).error();
  return life;
}

Verdict out_of_reach(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto watch = make_watch();
  if (!watch) return os_error(Blame::node, "mmap", errno);
  const MachineProcesses machine{
      [&](pid_t pid) { return is_of_machine(pid, trial->spec.cgroup, trial->spec.name); }};
  // JUSTIFICATION: a stranger to the keeper, as any process of the user's on the node is.
  auto intruder = Worker::start(Role::hook, "", [&] { return try_all(*trial, machine, *watch); });
  if (!intruder) return std::move(intruder).error();
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    const auto life = live(*trial, *watch, *intruder, subject);
    if (!life) return life.error();
    return (life->has_any ? "1" : "0") + life->fault;
  });
  watch->is_over = true;
  const auto reached = intruder->wait();
  // The cause before what it leads to; and a start that went wrong may have, because of it.
  if (lived && lived->size() > 1) return wrong(lived->substr(1));
  if (!reached) return reached.error();
  if (!reached->empty()) return wrong(*reached);
  if (!lived) return lived.error();
  if (auto looked = trial->look(); !looked) return looked;
  if (lived->front() == '0') return Verdict::skip("its machines have no processes");
  if (watch->attempts == 0) {
    return Verdict::skip("the user sees no process of the machine (hidepid of /proc?)");
  }
  return {};
}

}  // namespace

std::vector<Check> reach_checks() {
  return {{"out_of_reach", "no process of the user's outside can touch the machine", out_of_reach}};
}

}  // namespace cloud
