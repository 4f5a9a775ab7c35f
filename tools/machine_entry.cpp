// SPDX-License-Identifier: Apache-2.0
#include "tools/machine_entry.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "core/system/unique_fd.hpp"
#include "tools/pty_relay.hpp"
#include "tools/task_signals.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kKeeperLimit = 30s;  ///< it starts before any step does
constexpr int kNotStarted = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

volatile sig_atomic_t child_pid = 0;
/// Whether the task has a terminal of its own, so that ours tells nobody but us.
volatile sig_atomic_t has_own_terminal = 0;

void say(const std::string& text) {
  std::fprintf(stderr, "spank_cloud: %s\n", text.c_str());
}

// JUSTIFICATION: kill(2) is async-signal-safe. A signal that the terminal sent to its foreground
// group has reached the child already, as that group is the child's.
void hand_on(int number, siginfo_t* info, void*) {
  if (child_pid <= 0 || (info->si_code == SI_KERNEL && has_own_terminal == 0)) return;
  ::kill(child_pid, number);
}

struct SavedSignals {
  std::array<struct sigaction, 65> actions{};
  sigset_t mask{};
};

void hand_on_signals(SavedSignals& saved) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &saved.mask);
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (!is_handed_on(number)) continue;
    struct sigaction action {};
    action.sa_sigaction = hand_on;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(number, &action, &saved.actions[static_cast<std::size_t>(number)]);
  }
  // Else we would be stopped when we hand the terminal to the child's group.
  ::signal(SIGTTOU, SIG_IGN);
}

void restore_signals(const SavedSignals& saved) {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (is_handed_on(number)) {
      ::sigaction(number, &saved.actions[static_cast<std::size_t>(number)], nullptr);
    }
  }
  ::signal(SIGTTOU, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &saved.mask, nullptr);
}

// Joining gave us all capabilities of the machine's root; the task has its user's, none.
void drop_capabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  ::syscall(SYS_capset, &header, none.data());
}

void enter_directory(const std::string& wanted) {
  if (::chdir(wanted.c_str()) == 0) return;
  const char* home = std::getenv("HOME");
  const bool at_home = home != nullptr && ::chdir(home) == 0;
  if (!at_home && ::chdir("/") != 0) return;
  say("the folder " + wanted + " is not in the machine: starting in " + (at_home ? home : "/"));
}

// "/bin/bash" of a script that begins with "#!/bin/bash -e"; "" of anything else.
std::string interpreter_of(const char* file) {
  std::ifstream script{file};
  std::string line;
  if (!std::getline(script, line) || !line.starts_with("#!")) return {};
  std::istringstream words{line.substr(2)};
  std::string interpreter;
  words >> interpreter;
  return interpreter;
}

[[noreturn]] void become_task(const char* command, char** argv, const std::string& directory,
                              const SavedSignals& saved, pid_t parent,
                              std::optional<PtyRelay>& terminal) {
  if (terminal) {
    terminal->become_terminal();
  } else {
    ::setpgid(0, 0);
    if (::isatty(STDIN_FILENO) != 0) ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  }
  drop_capabilities();
  // Ours is the only process that can tell Slurm of the task's end: it shall not outlive us.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (parent != 0 && ::getppid() != 0) ::_exit(kNotStarted);
  restore_signals(saved);
  enter_directory(directory);
  ::execvp(command, argv);
  const int problem = errno;
  const auto interpreter = problem == ENOENT ? interpreter_of(command) : std::string{};
  say((interpreter.empty() ? std::string{command}
                           : "the interpreter " + interpreter + " of " + command) +
      ": " + std::strerror(problem) + " (in the machine)");
  ::_exit(problem == ENOENT ? kNotFound : kNotExecutable);
}

}  // namespace

Result<PublishedState> wait_until_ready(const std::string& dir) {
  const auto begun = Clock::now();
  auto next_word = begun + 2s;
  for (;;) {
    auto state = read_published_state(dir);
    if (!state) {
      return Error{Blame::node, "the machine of this job is gone: " + state.error().message};
    }
    const auto now = Clock::now();
    switch (state->phase) {
      case MachinePhase::ready:
        if (state->entry != MachineEntry::pending) return state;
        break;
      case MachinePhase::failed:
      case MachinePhase::ended:
        return Error{Blame::node, state->reason};
      case MachinePhase::prepared:
        if (now - begun > kKeeperLimit) {
          return Error{Blame::node,
                       "the machine's keeper did not start: slurmd's log on this node says "
                       "why"};
        }
        break;
      case MachinePhase::starting:
      case MachinePhase::booting:
        // Root's process: EPERM means that it lives, also where /proc hides it.
        if (::kill(static_cast<pid_t>(state->keeper_pid), 0) != 0 && errno == ESRCH) {
          return Error{Blame::node, "the machine's keeper has died before the machine was ready"};
        }
        if (state->boot_limit_s > 0 &&
            now - begun > std::chrono::seconds{state->boot_limit_s} + 60s) {
          return Error{Blame::node,
                       "the machine's keeper hangs (" + state->progress +
                           "): does a file system of its mounts not answer? `cloudctl logs`"};
        }
        break;
    }
    if (now >= next_word) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - begun).count();
      say("waiting for the machine for " + std::to_string(seconds) +
          " s: " + std::string{to_string(state->phase)} +
          (state->progress.empty() ? "" : ", " + state->progress));
      next_word = now + 10s;
    }
    std::this_thread::sleep_for(now - begun < 5s ? 2ms : 50ms);
  }
}

Result<void> join_machine(const PublishedState& state) {
  if (state.entry != MachineEntry::namespaces) {
    return Error{Blame::user, "tasks cannot run inside this machine of type " + state.type +
                                  (state.reason.empty() ? "" : " (" + state.reason + ")") +
                                  ": use --cloud-run=host"};
  }
  const UniqueFd init{
      static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(state.init_pid), 0))};
  // Compared after the descriptor is open: it cannot come to mean another process.
  if (!init || process_start_time(state.init_pid) != state.init_start_time) {
    return Error{Blame::node, "the machine has ended"};
  }
  constexpr int kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                              CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (::setns(init.value(), kNamespaces) != 0) {
    return os_error(
        Blame::node,
        "enter the machine (only the job's user can; the kernel needs to be Linux 5.12 or "
        "newer)",
        errno);
  }
  return {};
}

std::string open_script(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  return fd < 0 ? std::string{} : "/proc/self/fd/" + std::to_string(fd);
}

void run_in_machine(const char* command, char** argv, const std::string& directory) {
  SavedSignals saved;
  hand_on_signals(saved);
  auto terminal = PtyRelay::open();
  has_own_terminal = terminal ? 1 : 0;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    say(std::string{"fork: "} + std::strerror(errno));
    ::_exit(kNotStarted);
  }
  if (child == 0) become_task(command, argv, directory, saved, parent, terminal);
  if (!terminal) {
    ::setpgid(child, child);
    if (::isatty(STDIN_FILENO) != 0) ::tcsetpgrp(STDIN_FILENO, child);
  }
  child_pid = child;
  drop_capabilities();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (terminal) end_like(terminal->run(child));
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WUNTRACED) < 0) {
      if (errno == EINTR) continue;
      ::_exit(kNotStarted);
    }
    if (WIFSTOPPED(status)) {
      // On the host a task's group is orphaned, so a terminal cannot stop it: nobody would go on.
      const int number = WSTOPSIG(status);
      if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) ::kill(-child, SIGCONT);
      continue;
    }
    end_like(status);
  }
}

}  // namespace cloud
