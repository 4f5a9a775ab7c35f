// SPDX-License-Identifier: Apache-2.0
#include "core/system/subprocess.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

struct Child {
  char* const* argv;
  char* const* environment;
  const char* working_directory;
  int output;
  int failure_pipe;
  const Credentials* user;
};

bool become(const Credentials& user) {
  // Raw system calls: glibc's wrappers would ask all threads of the caller to change.
  return ::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) == 0 &&
         ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
         ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
}

// JUSTIFICATION: between fork and exec only async-signal-safe calls, as the caller may have
// threads.
[[noreturn]] void run_child(const Child& child) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // First, as the descriptor goes with the others.
  const bool is_where_it_shall_be = child.user == nullptr || child.user->user_namespace < 0 ||
                                    ::setns(child.user->user_namespace, CLONE_NEWUSER) == 0;
  const int no_namespace = is_where_it_shall_be ? 0 : errno;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(number, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(child.output, 1);
  ::dup2(child.output, 2);
  // The pipe moves to 3, everything above it goes.
  if (child.failure_pipe != 3) ::dup2(child.failure_pipe, 3);
  ::fcntl(3, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  const bool is_who_it_shall_be =
      is_where_it_shall_be && (child.user == nullptr || become(*child.user));
  if (is_who_it_shall_be && ::chdir(child.working_directory) == 0) {
    // The change of ids has cleared it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execve(child.argv[0], child.argv, child.environment);
  }
  const int problem = no_namespace != 0 ? no_namespace : errno;
  [[maybe_unused]] const auto written = ::write(3, &problem, sizeof problem);
  ::_exit(127);
}

// Waits until the process ends or the time is up; true when it ended.
bool wait_for(int pidfd, std::chrono::milliseconds limit) {
  return is_ready_within(pidfd, POLLIN, limit);
}

// What a program prints, in a pipe that does not hold it up: all of it is read, the end is kept.
class KeptOutput {
 public:
  // False and errno where it cannot be made.
  bool open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  }
  [[nodiscard]] int write_end() const { return write_end_.value(); }
  void close_write_end() { write_end_.reset(); }

  // What is there, in a bounded time.
  void read_on() {
    constexpr int kRounds = 64;
    std::array<char, kOutputKept> buffer{};
    for (int round = 0; read_end_ && round < kRounds; ++round) {
      const auto count =
          uninterrupted([&] { return ::read(read_end_.value(), buffer.data(), buffer.size()); });
      if (count == 0) read_end_.reset();
      if (count <= 0) return;
      text_.append(buffer.data(), static_cast<std::size_t>(count));
      if (text_.size() > kOutputKept) text_.erase(0, text_.size() - kOutputKept);
    }
  }
  // Until the program ends, or prints, or the time is up; whether it has ended.
  [[nodiscard]] bool wait_for_end(int pidfd, std::chrono::milliseconds limit) const {
    std::array<pollfd, 2> wanted{pollfd{pidfd, POLLIN, 0},
                                 pollfd{read_end_ ? read_end_.value() : -1, POLLIN, 0}};
    return ::poll(wanted.data(), wanted.size(), static_cast<int>(limit.count())) > 0 &&
           wanted[0].revents != 0;
  }
  std::string take() {
    read_on();
    return std::move(text_);
  }

 private:
  UniqueFd read_end_, write_end_;
  std::string text_;
};

Outcome reap(pid_t pid, int options = 0) {
  int status = 0;
  uninterrupted([&] { return ::waitpid(pid, &status, options); });
  if (WIFSIGNALED(status)) return {Outcome::Kind::signalled, WTERMSIG(status)};
  return {Outcome::Kind::exited, WEXITSTATUS(status)};
}

Outcome end_group(pid_t pid, int pidfd, Outcome::Kind why) {
  ::kill(-pid, SIGTERM);
  wait_for(pidfd, 2s);
  ::kill(-pid, SIGKILL);
  if (wait_for(pidfd, 5s)) reap(pid);
  return {why, 0};
}

// A process that sees us end and then ends a program's group: slurmd kills a prolog that takes too
// long, and nobody else knows the group.
class Guard {
 public:
  explicit Guard(pid_t group) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    const UniqueFd watched{ends[0]};
    ours_.reset(ends[1]);
    // JUSTIFICATION: nothing can be done in a process that SIGKILL ends.
    pid_ = ::fork();
    if (pid_ == 0) watch(watched.value(), group);
    if (pid_ < 0) ours_.reset();
  }
  ~Guard() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    reap(pid_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  [[noreturn]] static void watch(int pipe, pid_t group) {
    ::setsid();
    ::dup2(pipe, 0);
    ::syscall(SYS_close_range, 1U, ~0U, 0U);
    char nothing = 0;
    while (::read(0, &nothing, 1) < 0 && errno == EINTR) {
    }
    ::kill(-group, SIGKILL);
    ::_exit(0);
  }

  UniqueFd ours_;
  pid_t pid_ = -1;
};

}  // namespace

Result<Outcome> run(const Command& command) {
  if (command.argv.empty() || command.argv.front().empty() || command.argv.front().front() != '/') {
    return Error{Blame::site, "the program to run shall be an absolute path"};
  }
  const auto& program = command.argv.front();
  if (command.user && !command.output_file.empty()) {
    return Error{Blame::internal, "the output of " + program + " must not go to a file of root's"};
  }
  const auto output_path =
      command.output_file.empty() ? std::string{"/dev/null"} : command.output_file;
  const int flags =
      O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (command.output_file.empty() ? 0 : O_CREAT | O_APPEND);
  const UniqueFd output{::open(output_path.c_str(), flags, 0600)};
  if (!output) return os_error(Blame::node, "open " + output_path, errno);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return os_error(Blame::node, "make a pipe", errno);
  }
  const UniqueFd read_end{ends[0]};
  UniqueFd write_end{ends[1]};

  KeptOutput kept;
  if (command.keeps_output && !kept.open()) return os_error(Blame::node, "make a pipe", errno);

  auto argv = pointers(command.argv);
  auto environment = pointers(command.environment);
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(Blame::node, "fork for " + program, errno);
  if (pid == 0) {
    run_child({argv.data(), environment.data(), command.working_directory.c_str(),
               command.keeps_output ? kept.write_end() : output.value(), write_end.value(),
               command.user ? &*command.user : nullptr});
  }
  ::setpgid(pid, pid);  // in both, so that nobody sees the child in our group
  write_end.reset();
  kept.close_write_end();
  std::optional<Guard> guard;
  if (command.dies_with_us) guard.emplace(pid);
  const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pidfd) {
    const int number = errno;
    ::kill(-pid, SIGKILL);
    reap(pid);
    return os_error(Blame::node, "watch " + program, number);
  }
  const auto deadline = std::chrono::steady_clock::now() + command.timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left <= 0ms) return end_group(pid, pidfd.value(), Outcome::Kind::timed_out);
    if (command.cancelled && command.cancelled()) {
      return end_group(pid, pidfd.value(), Outcome::Kind::cancelled);
    }
    const bool has_ended =
        kept.wait_for_end(pidfd.value(), std::min<std::chrono::milliseconds>(left, 50ms));
    kept.read_on();
    if (!has_ended) continue;
    // Only one that was never executed says why.
    int problem = 0;
    if (::read(read_end.value(), &problem, sizeof problem) == sizeof problem) {
      reap(pid);
      return os_error(Blame::site, "run " + program, problem);
    }
    // Before the leader is reaped: until then nobody else can get the group's number.
    if (!command.leaves_daemon) ::kill(-pid, SIGKILL);
    auto outcome = reap(pid);
    outcome.output = kept.take();
    return outcome;
  }
}

}  // namespace cloud
