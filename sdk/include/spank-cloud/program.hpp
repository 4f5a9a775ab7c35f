// SPDX-License-Identifier: Apache-2.0
//
// Starts a program in the machine's control group, before its first instruction, with ids of the
// machine's, where the engine's own process is root's and in another group.
#ifndef SPANK_CLOUD_PROGRAM_HPP
#define SPANK_CLOUD_PROGRAM_HPP

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/id_map.hpp>
#include <string>
#include <utility>
#include <vector>

namespace cloud {
namespace sdk {

/// Whom a program runs as. Never the job's user: what has a user's uid can be traced by that user,
/// and its descriptors taken; and what a user has stopped keeps a job from ending.
struct ProgramIdentity {
  std::uint32_t uid = 0;              ///< and gid
  std::vector<std::uint32_t> groups;  ///< supplementary
  /// Of a user namespace that it joins, where `uid` and `groups` are then those of that namespace.
  int user_namespace = -1;

  /// Root of the node.
  [[nodiscard]] static ProgramIdentity root() { return {}; }
  /// Root of a machine: what `user_namespace`, as UserNamespace::fd(), maps to uid 0.
  [[nodiscard]] static ProgramIdentity root_of(int user_namespace) {
    return {0, {}, user_namespace};
  }
  /// Outside of the machine, with the id that serves it alone: engine_id() of id_map.hpp. `groups`:
  /// of devices, such as that of /dev/kvm.
  [[nodiscard]] static ProgramIdentity engine_of(const cloud_machine_spec& spec,
                                                 std::vector<std::uint32_t> groups = {}) {
    return {engine_id(spec.subid_first), std::move(groups), -1};
  }
};

struct Program {
  std::vector<std::string> argv;  ///< argv[0] is an absolute path
  std::string cgroup;             ///< spec->cgroup or one below it, which place() makes
  ProgramIdentity identity;
  std::vector<int> kept;  ///< descriptors that it inherits, under the same numbers
};

struct StartedProgram {
  pid_t pid = 0;
  Descriptor output;  ///< what it prints, on stdout and stderr
};

namespace detail {

struct ProgramPipes {
  Descriptor go_read, go_write;          // a byte once it is in its group
  Descriptor report_read, report_write;  // its pid, then the errno of what fails
  Descriptor output_read, output_write;
};

inline void make_pipe(Descriptor& read_end, Descriptor& write_end) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_failure(CLOUD_E_NODE, "pipe", errno);
  read_end = Descriptor{ends[0]};
  write_end = Descriptor{ends[1]};
}

// Raw system calls: glibc's wrappers would change the ids of all threads of the caller's copy.
inline bool take_identity(const ProgramIdentity& who) noexcept {
  if (who.user_namespace >= 0 && ::setns(who.user_namespace, CLONE_NEWUSER) != 0) return false;
  return ::syscall(SYS_setgroups, who.groups.size(), who.groups.data()) == 0 &&
         ::syscall(SYS_setresgid, who.uid, who.uid, who.uid) == 0 &&
         ::syscall(SYS_setresuid, who.uid, who.uid, who.uid) == 0;
}

inline void take_defaults(const ProgramPipes& pipes) noexcept {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(pipes.output_write.value(), STDOUT_FILENO);
  ::dup2(pipes.output_write.value(), STDERR_FILENO);
  for (int number = 1; number <= SIGRTMAX; ++number) ::signal(number, SIG_DFL);
  sigset_t nothing;
  ::sigemptyset(&nothing);
  ::sigprocmask(SIG_SETMASK, &nothing, nullptr);
  ::setsid();
}

// Runs in the copy of a process that may have threads: nothing here allocates.
[[noreturn]] inline void become_program(const Program& program, char* const* argv,
                                        const ProgramPipes& pipes) noexcept {
  static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  const pid_t own = ::getpid();
  char go = 0;
  [[maybe_unused]] auto written = ::write(pipes.report_write.value(), &own, sizeof own);
  // The other ends are ours, too: without this, the end of the caller would not be seen.
  ::close(pipes.go_write.value());
  // The handlers are still the caller's here.
  if (uninterrupted([&] { return ::read(pipes.go_read.value(), &go, 1); }) != 1) ::_exit(1);
  take_defaults(pipes);
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int fd : program.kept) ::fcntl(fd, F_SETFD, 0);
  if (::chdir("/") == 0 && take_identity(program.identity)) {
    ::execve(argv[0], argv, environment);
  }
  const int problem = errno;
  written = ::write(pipes.report_write.value(), &problem, sizeof problem);
  ::_exit(127);
}

template <typename Value>
std::size_t read_report(const Descriptor& from, Value& value) {
  const ssize_t count = uninterrupted([&] { return ::read(from.value(), &value, sizeof value); });
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

}  // namespace detail

/// Starts a program and returns when it runs. Only in start(): Host::place() moves it. It is no
/// child of the caller's, so nobody has to wait for it, and it outlives the caller. Throws Failure.
[[nodiscard]] inline StartedProgram start_program(const Program& program, const Host& host) {
  detail::ProgramPipes pipes;
  detail::make_pipe(pipes.go_read, pipes.go_write);
  detail::make_pipe(pipes.report_read, pipes.report_write);
  detail::make_pipe(pipes.output_read, pipes.output_write);
  std::vector<char*> argv;
  for (const auto& word : program.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  // JUSTIFICATION: a process moves into its group before it is the program, which takes a copy that
  // waits; made by another copy, which ends, so that the caller is no parent.
  const pid_t between = ::fork();
  if (between < 0) throw system_failure(CLOUD_E_NODE, "fork", errno);
  if (between == 0) {
    const pid_t own = ::fork();
    if (own == 0) detail::become_program(program, argv.data(), pipes);
    ::_exit(own < 0 ? 1 : 0);
  }
  pipes.report_write = Descriptor{};
  pipes.output_write = Descriptor{};
  uninterrupted([&] { return ::waitpid(between, nullptr, 0); });
  StartedProgram started;
  if (detail::read_report(pipes.report_read, started.pid) != sizeof started.pid) {
    throw Failure{CLOUD_E_NODE, "start " + program.argv.front() + ": fork failed"};
  }
  host.place(program.cgroup, started.pid);
  if (uninterrupted([&] { return ::write(pipes.go_write.value(), "g", 1); }) != 1) {
    throw system_failure(CLOUD_E_NODE, "start " + program.argv.front(), errno);
  }
  int problem = 0;
  if (detail::read_report(pipes.report_read, problem) != 0) {
    throw system_failure(CLOUD_E_NODE, "run " + program.argv.front(), problem);
  }
  started.output = std::move(pipes.output_read);
  return started;
}

/// The next line that the program prints, without its end; what there is where it prints no more.
/// Throws CLOUD_E_TIMEOUT and CLOUD_E_CANCELLED; `what` begins those messages.
[[nodiscard]] inline std::string read_line(const Descriptor& output, Deadline deadline,
                                           const Host& host, const std::string& what) {
  constexpr std::int64_t kPollMs = 100;
  constexpr std::size_t kLineMax = 900;
  std::string line;
  while (line.size() < kLineMax) {
    if (host.cancelled()) throw Failure{CLOUD_E_CANCELLED, what + ": the job is being cancelled"};
    pollfd wanted{output.value(), POLLIN, 0};
    const auto left = std::min(deadline.remaining() / 1000000 + 1, kPollMs);
    if (::poll(&wanted, 1, static_cast<int>(left)) == 1) {
      char next = 0;
      const auto count = ::read(output.value(), &next, 1);
      if (count == 0 || (count == 1 && next == '\n')) return line;
      if (count == 1) line += next;
    } else if (deadline.expired()) {
      throw Failure{CLOUD_E_TIMEOUT, what + ": no answer in time"};
    }
  }
  return line;
}

}  // namespace sdk
}  // namespace cloud

#endif
