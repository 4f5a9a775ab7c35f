// SPDX-License-Identifier: Apache-2.0
//
// The task is told to the program `guest` in the machine first (`put`), and runs in a session of
// its own then (`run`), so that neither its environment nor its arguments pass a shell or have a
// limit of ssh's. ssh hands on no signals: each takes a session, too.
#include "enter/ssh_entry.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <spank-cloud/base/uninterrupted.hpp>
#include <string_view>
#include <thread>

#include "core/machine/guest_request.hpp"
#include "core/machine/ssh_command.hpp"
#include "core/system/unique_fd.hpp"
#include "core/system/write_all.hpp"
#include "enter/task_request.hpp"
#include "enter/task_signals.hpp"

namespace cloud {
namespace {

constexpr int kNotStarted = 125;
constexpr int kSshFailed = 255;  ///< as ssh itself says it

[[noreturn]] void refuse(const std::string& reason) {
  std::fprintf(stderr, "spank_cloud: error: %s\n", reason.c_str());
  ::_exit(kNotStarted);
}

struct Session {
  SshTarget target;

  [[nodiscard]] std::vector<std::string> words(const std::vector<std::string>& options,
                                               const std::string& verb) const {
    // Replaced by the program, the login shell does not stand between the terminal and the task.
    return ssh_command(target, options, std::string{"exec "} + kGuestProgram + " " + verb);
  }
};

// JUSTIFICATION: ssh is a child in the step's own cgroup, so that Slurm sees and ends it.
pid_t start_ssh(const Session& session, const std::vector<std::string>& words, int in, int out) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  // The user's libraries and settings are for the task, not for ssh.
  const char* terminal = std::getenv("TERM");
  std::string term = std::string{"TERM="} + (terminal == nullptr ? "dumb" : terminal);
  std::array<char*, 4> environment{const_cast<char*>("PATH=/usr/bin:/bin"),
                                   const_cast<char*>("HOME=/"), term.data(), nullptr};
  const auto folder = ssh_socket_folder(session.target.dir);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) refuse(std::string{"fork: "} + std::strerror(errno));
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNotStarted);
  restore_default_signals();
  if (in >= 0) ::dup2(in, STDIN_FILENO);
  if (out >= 0) ::dup2(out, STDOUT_FILENO);
  // Silent: a machine that has ended has an end, with a reason, that is told once.
  if (::chdir(folder.c_str()) != 0) ::_exit(kSshFailed);
  ::execve(argv[0], argv.data(), environment.data());
  std::fprintf(stderr, "spank_cloud: error: %s: %s\n", argv[0], std::strerror(errno));
  ::_exit(kNotStarted);
}

int wait_for(pid_t pid) {
  int status = 0;
  uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  return status;
}

struct Answer {
  int status = 0;
  std::string text;
};

// One short session: what it is given on stdin, and what it prints.
Answer ask(const Session& session, const std::string& verb, std::string_view input) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0) {
    refuse(std::string{"pipe: "} + std::strerror(errno));
  }
  const UniqueFd read_to{to[0]};
  UniqueFd write_to{to[1]};
  const UniqueFd read_from{from[0]};
  UniqueFd write_from{from[1]};
  const pid_t pid =
      start_ssh(session, session.words({"-T"}, verb), read_to.value(), write_from.value());
  write_from.reset();
  (void)write_all(write_to.value(), input);
  write_to.reset();
  Answer answer;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto count = ::read(read_from.value(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    answer.text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  answer.status = wait_for(pid);
  while (!answer.text.empty() && answer.text.back() == '\n') answer.text.pop_back();
  return answer;
}

// Why the machine has gone, where its keeper says that it has. ssh itself takes most of a minute to
// notice that nobody answers any more.
void refuse_if_ended(const Session& session) {
  const auto state = read_published_state(session.target.dir);
  if (state && state->phase == MachinePhase::ended) refuse(state->reason);
}

std::string put(const Session& session, const RemoteTask& task) {
  const auto folder = ssh_socket_folder(session.target.dir);
  if (::access(folder.c_str(), X_OK) != 0) {
    const int problem = errno;
    refuse_if_ended(session);
    refuse("the machine's connection, " + folder + ": " + std::strerror(problem));
  }
  auto request = request_of({task.command, task.directory});
  request.script = task.script;
  const auto bytes = serialise(request);
  if (!bytes) refuse(bytes.error().message);
  auto answer = ask(session, "put", *bytes);
  const bool is_token = !answer.text.empty() &&
                        answer.text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (answer.status != 0 || !is_token) {
    // A login shell that lets nobody in says so on its output.
    const auto line = answer.text.substr(0, std::min<std::size_t>(answer.text.find('\n'), 200));
    refuse("the machine did not take the task" + (line.empty() ? " (see above)" : ": " + line));
  }
  return answer.text;
}

// "exited 7" or "signalled 9"; the raw wait status, where the task has ended.
std::optional<int> ended_with(std::string_view text) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  int number = 0;
  const auto digits = text.substr(space + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc{}) return std::nullopt;
  if (text.substr(0, space) == "exited") return W_EXITCODE(number, 0);
  if (text.substr(0, space) == "signalled") return W_EXITCODE(0, number);
  return std::nullopt;
}

[[noreturn]] void end_like_task(const Session& session, const std::string& token, int status) {
  // ssh says 255 where it failed itself, and a task that died of a signal looks like an exit.
  constexpr int kAmbiguous = 128;
  if (WIFEXITED(status) && WEXITSTATUS(status) < kAmbiguous) ::_exit(WEXITSTATUS(status));
  const auto answer = ask(session, "status " + token, "");
  if (const auto real = ended_with(answer.text); real && answer.status == 0) end_like(*real);
  // Its keeper may be about to say so.
  for (int round = 0; round < 20; ++round) {
    refuse_if_ended(session);
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  refuse("the connection to the machine broke while the task was running");
}

}  // namespace

void run_over_ssh(const PublishedState& state, const std::string& dir, const RemoteTask& task) {
  ::signal(SIGPIPE, SIG_IGN);
  const Session session{{dir, state.machine, state.ssh_user, state.address}};
  const auto token = put(session, task);
  const sigset_t wanted = block_task_signals();
  const bool has_terminal = ::isatty(STDIN_FILENO) != 0;
  // A second -t makes a terminal there also where ssh's own output is no terminal.
  const std::vector<std::string> options =
      has_terminal ? std::vector<std::string>{"-t", "-t"} : std::vector<std::string>{"-T"};
  const pid_t task_ssh = start_ssh(session, session.words(options, "run " + token), -1, -1);
  const UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  for (;;) {
    const timespec look{2, 0};
    const int number = ::sigtimedwait(&wanted, nullptr, &look);
    if (number < 0) {
      refuse_if_ended(session);
      continue;
    }
    if (number != SIGCHLD) {
      // ssh itself looks after the size of the terminal.
      if (number == SIGWINCH) continue;
      start_ssh(session, session.words({"-T"}, "signal " + token + " " + std::to_string(number)),
                null.value(), null.value());
      continue;
    }
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid == task_ssh) end_like_task(session, token, status);
    }
  }
}

}  // namespace cloud
