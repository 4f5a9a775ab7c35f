// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/guest/task.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/kvm/guest/process_tree.hpp"
#include "backends/kvm/guest/ssh_channel.hpp"
#include "core/machine/guest_request.hpp"

namespace cloud {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGrace{2000};  // from SIGTERM to SIGKILL
constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

enum class Terminal { none, leading, shared };

// One write, as several tasks may share what stderr is in the end.
void say(const std::string& text) {
  const auto line = "spank_cloud: " + text + '\n';
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
}

// Slurm's own --pty makes the task the leader of the terminal's session. This program leads it, as
// long as the login shell has replaced itself by it, and then hands it over.
Terminal release_terminal() {
  if (::isatty(STDIN_FILENO) != 1 || ::tcgetsid(STDIN_FILENO) != ::getsid(0)) return Terminal::none;
  if (::getsid(0) != ::getpid()) return Terminal::shared;
  // Giving it up sends SIGHUP, to this process too; a blocked signal would stay pending.
  ::signal(SIGHUP, SIG_IGN);
  const bool given_up = ::ioctl(STDIN_FILENO, TIOCNOTTY) == 0;
  ::signal(SIGHUP, SIG_DFL);
  return given_up ? Terminal::leading : Terminal::shared;
}

sigset_t blocked_signals() {
  sigset_t set;
  sigemptyset(&set);
  // The last three come from a terminal that is not this program's any more.
  for (const int number :
       {SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGPIPE, SIGTTOU, SIGTTIN, SIGTSTP})
    sigaddset(&set, number);
  return set;
}

void become_group(Terminal terminal) {
  if (terminal == Terminal::shared) {
    ::setpgid(0, 0);
    ::tcsetpgrp(STDIN_FILENO, ::getpid());
    return;
  }
  ::setsid();
  if (terminal == Terminal::leading) ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);
}

void apply_limits(const std::vector<GuestLimit>& limits) {
  for (const auto& wanted : limits) {
    struct rlimit limit {};
    const auto resource = static_cast<__rlimit_resource>(wanted.resource);
    if (::getrlimit(resource, &limit) != 0) continue;
    const auto soft =
        wanted.soft == kGuestUnlimited ? RLIM_INFINITY : static_cast<rlim_t>(wanted.soft);
    limit.rlim_cur = std::min(soft, limit.rlim_max);
    ::setrlimit(resource, &limit);
  }
}

std::string_view variable(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string_view entry : environment) {
    if (entry.size() > name.size() && entry.substr(0, name.size()) == name &&
        entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return {};
}

void enter_folder(const GuestRequest& request) {
  const auto& wanted = request.working_directory;
  if (!wanted.empty() && ::chdir(wanted.c_str()) == 0) return;
  const int reason = errno;
  std::string home{variable(request.environment, "HOME")};
  if (home.empty() || ::chdir(home.c_str()) != 0) {
    home = "/";
    static_cast<void>(!::chdir("/"));
  }
  if (wanted.empty()) return;
  const bool absent = reason == ENOENT || reason == ENOTDIR;
  say("the folder " + wanted +
      (absent ? " is not in the machine"
              : std::string{" cannot be entered in the machine ("} + std::strerror(reason) + ")") +
      ": starting in " + home);
}

// A batch script lives in memory alone; its interpreter opens it by this name.
std::string script_file(const std::string& text) {
  const int file = ::memfd_create("slurm_script", 0);
  std::string_view left{text};
  while (file >= 0 && !left.empty()) {
    const auto count = ::write(file, left.data(), left.size());
    if (count <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(count));
  }
  return "/proc/self/fd/" + std::to_string(file);
}

// execve() along the request's PATH. Unlike execvp() it never gives a file to a shell that the
// kernel refuses to execute: Slurm does not either.
int execute(const std::string& program, std::vector<char*>& arguments,
            std::vector<char*>& environment, std::string_view path) {
  const std::string_view name{program};
  if (name.find('/') != std::string_view::npos) {
    ::execve(program.c_str(), arguments.data(), environment.data());
    return errno;
  }
  int failure = ENOENT;
  while (!name.empty()) {
    const auto end = std::min(path.find(':'), path.size());
    std::string candidate{path.substr(0, end)};
    if (candidate.empty()) candidate = ".";
    candidate += '/';
    candidate += name;
    ::execve(candidate.c_str(), arguments.data(), environment.data());
    // As the shell does: what is there and cannot be executed is worth telling, if nothing else is.
    if (errno != ENOENT && errno != ENOTDIR) failure = errno;
    if (failure != ENOENT && failure != EACCES) break;
    if (end == path.size()) break;
    path.remove_prefix(end + 1);
  }
  return failure;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

[[noreturn]] void become_task(GuestRequest& request, Terminal terminal, pid_t parent) {
  become_group(terminal);
  // Where this program is killed itself; it cannot tidy up then.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNotExecutable);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  enter_folder(request);
  ::umask(request.umask);
  apply_limits(request.limits);
  auto program = request.command.front();
  if (!request.script.empty()) program = script_file(request.script);
  auto arguments = pointers(request.command);
  auto environment = pointers(request.environment);
  auto path = variable(request.environment, "PATH");
  if (path.empty()) path = "/usr/local/bin:/usr/bin:/bin";
  const int reason = execute(program, arguments, environment, path);
  say(request.command.front() + ": " + std::strerror(reason) + " (in the machine)");
  ::_exit(reason == ENOENT || reason == ENOTDIR ? kNotFound : kNotExecutable);
}

// Reaps what has ended. The status of the task itself, once.
std::optional<int> reap(pid_t task, const TaskFiles& files) {
  std::optional<int> status;
  for (;;) {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) {
      return status;
    }
    if (ended.si_pid != task) {
      ::waitpid(ended.si_pid, nullptr, 0);
      continue;
    }
    int raw = 0;
    if (const auto forbidden = files.forbid_signals(); !forbidden) say(forbidden.error().message);
    ::waitpid(task, &raw, 0);
    if (const auto written = files.write_status(guest_status_text(raw)); !written) {
      say(written.error().message);
    }
    status = raw;
  }
}

// A task that shares its session with the login shell would be stopped by Ctrl-Z with nobody there
// to continue it; one that leads its session is not.
void continue_stopped(pid_t task) {
  siginfo_t stopped{};
  if (::waitid(P_PID, static_cast<id_t>(task), &stopped, WSTOPPED | WNOHANG) == 0 &&
      stopped.si_pid == task && stopped.si_status == SIGTSTP) {
    ::kill(-task, SIGCONT);
  }
}

// Waits for the end of the task, or of the channel; returns the task's wait status.
int watch(pid_t task, int signals, const TaskFiles& files, Terminal terminal) {
  SshChannel channel;
  std::optional<Clock::time_point> deadline;
  for (;;) {
    auto entries = channel.watched();
    entries.push_back({signals, POLLIN, 0});
    constexpr int kLook = 50;  // milliseconds between looks at a tree that is ending
    if (::poll(entries.data(), entries.size(), deadline ? kLook : -1) < 0 && errno != EINTR) {
      say(std::string{"cannot watch the task: "} + std::strerror(errno));
      ::kill(-task, SIGKILL);
    }
    bool told_to_end = false;
    if (entries.back().revents != 0) {
      signalfd_siginfo got{};
      if (::read(signals, &got, sizeof got) == static_cast<ssize_t>(sizeof got)) {
        told_to_end = got.ssi_signo == SIGTERM || got.ssi_signo == SIGHUP;
      }
    }
    entries.pop_back();
    channel.update(entries);
    if (const auto status = reap(task, files)) return *status;
    if (terminal == Terminal::shared) continue_stopped(task);
    if ((told_to_end || channel.gone()) && !deadline) {
      deadline = Clock::now() + kGrace;
      // A terminal that is gone sends SIGHUP by itself.
      for (const int number : {SIGTERM, SIGCONT}) signal_descendants(number);
    }
    if (deadline && Clock::now() > *deadline) ::kill(task, SIGKILL);
  }
}

}  // namespace

Result<int> run_task(TaskFiles& files) {
  const auto bytes = files.take_request();
  if (!bytes) return bytes.error();
  auto request = parse_guest_request(*bytes);
  if (!request) return request.error();
  // What the task leaves behind becomes this program's children, however it has daemonised.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto terminal = release_terminal();
  const auto blocked = blocked_signals();
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const UniqueFd signals{::signalfd(-1, &blocked, SFD_CLOEXEC)};
  if (!signals) return os_error(Blame::node, "cannot watch the task in the machine", errno);
  const auto self = ::getpid();
  // JUSTIFICATION: the task is a child, so that this program can end all that it leaves behind.
  const auto task = ::fork();
  if (task < 0) return os_error(Blame::node, "cannot start the task in the machine", errno);
  if (task == 0) become_task(*request, terminal, self);
  // Pages of an environment that may be megabytes.
  *request = {};
  if (const auto written = files.write_group(task); !written) say(written.error().message);
  const int status = watch(task, signals.value(), files, terminal);
  kill_descendants(kGrace);
  return guest_exit_status(status);
}

}  // namespace cloud
