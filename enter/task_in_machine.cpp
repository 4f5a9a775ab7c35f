// SPDX-License-Identifier: Apache-2.0
#include "enter/task_in_machine.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/machine/guest_request.hpp"
#include "core/system/unique_fd.hpp"
#include "enter/task_channel.hpp"

namespace cloud {
namespace {

constexpr int kNotStarted = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr time_t kHandOverSeconds = 60;   ///< for each frame, of a process that is there
constexpr std::size_t kFilesMax = 65536;  ///< descriptors of a task

struct HandedFile {
  int number = -1;  ///< that it has in the task
  UniqueFd file;
};

// All that `enter` hands over, in the order in which it does.
struct HandOver {
  std::vector<HandedFile> files;
  std::string memory_policy;
  std::optional<std::uint32_t> script;
  UniqueFd terminal;  ///< the slave
  GuestRequest task;
};

void say(const std::string& text) {
  std::fprintf(stderr, "spank_cloud: %s\n", text.c_str());
}

bool take_files(Frame& frame, std::vector<HandedFile>& files) {
  if (frame.bytes.size() != frame.files.size() * 4) return false;
  for (std::size_t i = 0; i < frame.files.size(); ++i) {
    const auto number = number_at(frame.bytes, i * 4);
    if (number >= kFilesMax) return false;
    files.push_back({static_cast<int>(number), std::move(frame.files[i])});
  }
  return true;
}

// Of the machine's own /dev/pts. Says so to `enter`, which settles how it looks.
bool open_terminal(int socket, UniqueFd& slave) {
  const UniqueFd master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  std::array<char, 64> name{};
  if (master && ::grantpt(master.value()) == 0 && ::unlockpt(master.value()) == 0 &&
      ::ptsname_r(master.value(), name.data(), name.size()) == 0) {
    slave.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  if (!slave) return static_cast<bool>(send_frame(socket, FrameKind::terminal));
  const int file = master.value();
  return static_cast<bool>(send_frame(socket, FrameKind::terminal, {}, {&file, 1}));
}

// Nothing where `enter` has gone, or says what no `enter` does.
std::optional<HandOver> take_over(int socket) {
  HandOver taken;
  for (;;) {
    auto frame = receive_frame(socket, kGuestRequestMax);
    if (!frame || !*frame) return std::nullopt;
    auto& said = **frame;
    switch (said.kind) {
      case FrameKind::files:
        if (!take_files(said, taken.files)) return std::nullopt;
        break;
      case FrameKind::memory_policy:
        taken.memory_policy = std::move(said.bytes);
        break;
      case FrameKind::script:
        taken.script = number_at(said.bytes);
        break;
      case FrameKind::terminal:
        if (!open_terminal(socket, taken.terminal)) return std::nullopt;
        break;
      case FrameKind::task: {
        auto task = parse_guest_request(said.bytes);
        if (!task) return std::nullopt;
        taken.task = *std::move(task);
        return taken;
      }
      case FrameKind::go:
      case FrameKind::joined:
      case FrameKind::refused:
      case FrameKind::signal:
      case FrameKind::ended:
        return std::nullopt;
    }
  }
}

void enter_directory(const std::string& wanted) {
  if (::chdir(wanted.c_str()) == 0) return;
  const char* home = ::getenv("HOME");
  const bool at_home = home != nullptr && ::chdir(home) == 0;
  if (!at_home && ::chdir("/") != 0) return;
  say("the folder " + wanted + " is not in the machine: starting in " + (at_home ? home : "/"));
}

// "/bin/bash" of a script that begins with "#!/bin/bash -e"; "" of anything else.
std::string interpreter_of(const std::string& file) {
  std::ifstream script{file};
  std::string line;
  if (!std::getline(script, line) || !line.starts_with("#!")) return {};
  std::istringstream words{line.substr(2)};
  std::string interpreter;
  words >> interpreter;
  return interpreter;
}

// Every descriptor at its number, and no other but the terminal.
bool place_files(std::vector<HandedFile>& files, UniqueFd& terminal) {
  int above = 3;
  for (const auto& handed : files) above = std::max(above, handed.number + 1);
  // Out of the way of the numbers that others are to have.
  const auto move_up = [&](UniqueFd& file) {
    file.reset(::fcntl(file.value(), F_DUPFD_CLOEXEC, above));
    return static_cast<bool>(file);
  };
  if (terminal && !move_up(terminal)) return false;
  for (auto& handed : files) {
    if (!move_up(handed.file)) return false;
  }
  ::syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int number : {0, 1, 2}) {
    // Of a task that was started with one of them closed.
    ::close(number);
  }
  for (const auto& handed : files) {
    if (::dup2(handed.file.value(), handed.number) < 0) return false;
  }
  return true;
}

void take_terminal(const UniqueFd& slave) {
  ::setsid();
  ::ioctl(slave.value(), TIOCSCTTY, 0);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::isatty(fd) != 0) ::dup2(slave.value(), fd);
  }
}

// As the kernel has it: libc keeps two signals to itself, which posix_spawn(3) leaves ignored.
void restore_signals(std::uint64_t ignored) {
  struct {
    std::uintptr_t handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
  } action{};
  for (int number = 1; number <= SIGRTMAX; ++number) {
    const bool is_ignored = (ignored >> (number - 1) & 1) != 0;
    action.handler = is_ignored ? 1 : 0;  // SIG_IGN, SIG_DFL
    ::syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void take_memory_policy(const std::string& policy) {
  if (policy.size() <= 4) return;
  const auto mode = static_cast<int>(number_at(policy));
  const std::vector<unsigned long> mask = [&] {
    std::vector<unsigned long> words((policy.size() - 4) / sizeof(unsigned long));
    std::memcpy(words.data(), policy.data() + 4, words.size() * sizeof(unsigned long));
    return words;
  }();
  // A policy of nodes that the machine may not have is the kernel's to refuse.
  ::syscall(SYS_set_mempolicy, mode, mask.data(), mask.size() * sizeof(unsigned long) * 8);
}

[[noreturn]] void become_task(HandOver& taken, const Inheritance& inherited) {
  // Ours is the only process that can tell Slurm of the task's end: it must not outlive us.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != 0) ::_exit(kNotStarted);
  if (!place_files(taken.files, taken.terminal)) ::_exit(kNotStarted);
  if (taken.terminal) {
    take_terminal(taken.terminal);
  } else {
    ::setpgid(0, 0);
  }
  take_memory_policy(taken.memory_policy);
  restore_signals(inherited.ignored_signals);
  ::umask(taken.task.umask);
  auto environment = pointers(taken.task.environment);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread; execvp(3) looks for PATH there
  environ = environment.data();
  enter_directory(taken.task.working_directory);
  ::setrlimit(RLIMIT_NOFILE, &inherited.limits[RLIMIT_NOFILE]);
  const auto command =
      taken.script ? "/proc/self/fd/" + std::to_string(*taken.script) : taken.task.command.front();
  auto argv = pointers(taken.task.command);
  ::execvp(command.c_str(), argv.data());
  const int problem = errno;
  const auto interpreter = problem == ENOENT ? interpreter_of(command) : std::string{};
  say((interpreter.empty() ? command : "the interpreter " + interpreter + " of " + command) + ": " +
      std::strerror(problem) + " (in the machine)");
  ::_exit(problem == ENOENT ? kNotFound : kNotExecutable);
}

// The task's wait status, or nothing where it has not ended.
std::optional<int> look_at(pid_t task, bool has_terminal) {
  int status = 0;
  for (;;) {
    const auto changed = ::waitpid(task, &status, WNOHANG | WUNTRACED);
    if (changed < 0 && errno == EINTR) continue;
    if (changed != task) return std::nullopt;
    if (!WIFSTOPPED(status)) return status;
    // On the host a task's group is orphaned, so a terminal cannot stop it: nobody would go on.
    const int number = WSTOPSIG(status);
    const bool is_by_terminal = number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
    if (!has_terminal && is_by_terminal) ::kill(-task, SIGCONT);
  }
}

// False where the connection has ended.
bool pass_signal(int socket, pid_t task) {
  const auto frame = receive_frame(socket, 1);
  if (!frame || !*frame) return false;
  const auto& said = **frame;
  if (said.kind == FrameKind::signal && said.bytes.size() == 1) {
    ::kill(task, static_cast<unsigned char>(said.bytes.front()));
  }
  return true;
}

int stay_with(int socket, int children, pid_t task, bool has_terminal) {
  for (;;) {
    if (const auto status = look_at(task, has_terminal)) {
      (void)send_frame(socket, FrameKind::ended, to_bytes(static_cast<std::uint32_t>(*status)));
      return 0;
    }
    std::array<pollfd, 2> wanted{pollfd{socket, POLLIN, 0}, pollfd{children, POLLIN, 0}};
    if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
    if (wanted[1].revents != 0) {
      signalfd_siginfo changed{};
      [[maybe_unused]] const auto count = ::read(children, &changed, sizeof changed);
    }
    if (wanted[0].revents != 0 && !pass_signal(socket, task)) {
      ::kill(task, SIGKILL);
      return kNotStarted;
    }
  }
}

}  // namespace

int run_task_for(int socket, const Inheritance& inherited) {
  const timeval limit{kHandOverSeconds, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  auto taken = take_over(socket);
  if (!taken) return kNotStarted;
  sigset_t child_changed;
  ::sigemptyset(&child_changed);
  ::sigaddset(&child_changed, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_changed, nullptr);
  const UniqueFd children{::signalfd(-1, &child_changed, SFD_CLOEXEC)};
  const bool has_terminal = static_cast<bool>(taken->terminal);
  // JUSTIFICATION: only a child of the process that has joined a pid namespace is in it.
  const pid_t task = ::fork();
  if (task < 0) {
    const bool is_full = errno == EAGAIN;
    (void)send_frame(socket, FrameKind::refused,
                     std::string{"start the task in the machine: "} + std::strerror(errno) +
                         (is_full ? " (its user has as many processes as may be, or as the site "
                                    "lets a user's machines have)"
                                  : ""));
    return kNotStarted;
  }
  if (task == 0) become_task(*taken, inherited);
  if (!has_terminal) ::setpgid(task, task);
  // Whoever reads what the task prints sees its end when the task has it.
  taken.reset();
  return stay_with(socket, children.value(), task, has_terminal);
}

}  // namespace cloud
