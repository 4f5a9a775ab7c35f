// SPDX-License-Identifier: Apache-2.0
//
// The task is told to the program `guest` in the machine first (`put`), and runs in a session of
// its own then (`run`), so that neither its environment nor its arguments pass a shell or have a
// limit of ssh's. ssh hands on no signals: each takes a session, too.
#include "enter/ssh_entry.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <spank-cloud/base/uninterrupted.hpp>
#include <string_view>
#include <thread>

#include "core/machine/guest_request.hpp"
#include "core/machine/ssh_command.hpp"
#include "core/system/unique_fd.hpp"
#include "core/system/write_all.hpp"
#include "enter/session_streams.hpp"
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
pid_t start_ssh(const Session& session, const std::vector<std::string>& words,
                const std::function<void()>& take_streams) {
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
  take_streams();
  // Silent: a machine that has ended has an end, with a reason, that is told once.
  if (::chdir(folder.c_str()) != 0) ::_exit(kSshFailed);
  ::execve(argv[0], argv.data(), environment.data());
  std::fprintf(stderr, "spank_cloud: error: %s: %s\n", argv[0], std::strerror(errno));
  ::_exit(kNotStarted);
}

// Killed, where it does not end by then: that it cannot resist.
int wait_for(pid_t pid, std::chrono::steady_clock::time_point end) {
  const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  const auto left = end - std::chrono::steady_clock::now();
  if (!process || !is_ready_within(process.value(), POLLIN,
                                   std::chrono::ceil<std::chrono::milliseconds>(left))) {
    ::kill(pid, SIGKILL);
  }
  int status = 0;
  uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  return status;
}

// Why the machine has gone, where its keeper says that it has. ssh itself takes most of a minute to
// notice that nobody answers any more.
std::optional<std::string> reason_of_end(const Session& session) {
  const auto state = read_published_state(session.target.dir);
  if (!state || state->phase != MachinePhase::ended) return std::nullopt;
  return state->reason;
}

void refuse_if_ended(const Session& session) {
  if (const auto reason = reason_of_end(session)) refuse(*reason);
}

struct Answer {
  int status = 0;
  std::string text;
};

struct Pipe {
  UniqueFd read_end, write_end;
};

// `ours`: which end does not wait.
Pipe make_pipe(UniqueFd Pipe::*ours) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    refuse(std::string{"pipe: "} + std::strerror(errno));
  }
  Pipe made{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
  ::fcntl((made.*ours).value(), F_SETFL, O_NONBLOCK);
  return made;
}

// What is there; closes an end that has no more to give.
std::string read_some(UniqueFd& from) {
  std::array<char, 4096> buffer{};
  const auto count = ::read(from.value(), buffer.data(), buffer.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (count <= 0) from.reset();
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

void write_some(UniqueFd& to, std::string_view& text) {
  const auto count = ::write(to.value(), text.data(), text.size());
  if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  const bool goes_on = count >= 0 || errno == EAGAIN || errno == EINTR;
  if (text.empty() || !goes_on) to.reset();
}

// One short session: what it is given on stdin, and what it prints. Neither a guest that says too
// much nor one that says nothing is listened to for ever. Not even its stderr is the step's own
// (enter/session_streams.hpp).
Answer ask(const Session& session, const std::string& verb, std::string_view input) {
  constexpr auto kLimit = std::chrono::seconds{120};
  constexpr int kLookMs = 2000;
  constexpr std::size_t kAnswerMax = 65536;
  auto to = make_pipe(&Pipe::write_end);
  auto answers = make_pipe(&Pipe::read_end);
  auto words = make_pipe(&Pipe::read_end);
  const auto end = std::chrono::steady_clock::now() + kLimit;
  const pid_t pid = start_ssh(session, session.words({"-T"}, verb), [&] {
    ::dup2(to.read_end.value(), STDIN_FILENO);
    ::dup2(answers.write_end.value(), STDOUT_FILENO);
    ::dup2(words.write_end.value(), STDERR_FILENO);
  });
  to.read_end.reset();
  answers.write_end.reset();
  words.write_end.reset();
  if (input.empty()) to.write_end.reset();
  Answer answer;
  std::size_t said = 0;
  while (answers.read_end && answer.text.size() + said <= kAnswerMax) {
    std::array<pollfd, 3> ready{pollfd{to.write_end.value(), POLLOUT, 0},
                                pollfd{answers.read_end.value(), POLLIN, 0},
                                pollfd{words.read_end.value(), POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), kLookMs) == 0) refuse_if_ended(session);
    if (ready[0].revents != 0) write_some(to.write_end, input);
    if (ready[1].revents != 0) answer.text += read_some(answers.read_end);
    if (ready[2].revents != 0) {
      const auto text = read_some(words.read_end);
      said += text.size();
      (void)write_all(STDERR_FILENO, text);
    }
    if (std::chrono::steady_clock::now() < end) continue;
    ::kill(pid, SIGKILL);
    refuse("the machine did not answer '" + verb.substr(0, verb.find(' ')) + "' within " +
           std::to_string(kLimit.count()) + " s");
  }
  // Whoever says too much is not waited for.
  if (answers.read_end) ::kill(pid, SIGKILL);
  answer.status = wait_for(pid, end);
  if (words.read_end) (void)write_all(STDERR_FILENO, read_some(words.read_end));
  while (!answer.text.empty() && answer.text.back() == '\n') answer.text.pop_back();
  return answer;
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
  if (answer.status != 0 || !is_guest_token(answer.text)) {
    // A login shell that lets nobody in says so on its output.
    const auto line = answer.text.substr(0, std::min<std::size_t>(answer.text.find('\n'), 200));
    refuse("the machine did not take the task" + (line.empty() ? " (see above)" : ": " + line));
  }
  return answer.text;
}

[[noreturn]] void end_like_task(const Session& session, const std::string& token, int status) {
  // ssh says 255 where it failed itself, and a task that died of a signal looks like an exit.
  constexpr int kAmbiguous = 128;
  if (WIFEXITED(status) && WEXITSTATUS(status) < kAmbiguous) ::_exit(WEXITSTATUS(status));
  const auto answer = ask(session, "status " + token, "");
  if (const auto real = parse_guest_status(answer.text); real && answer.status == 0)
    end_like(*real);
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
  const UniqueFd signals{::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK)};
  SessionStreams streams;
  if (!signals || !streams.open()) refuse(std::string{"open streams: "} + std::strerror(errno));
  // A second -t makes a terminal there also where ssh's own output is no terminal.
  const std::vector<std::string> options = streams.has_terminal()
                                               ? std::vector<std::string>{"-t", "-t"}
                                               : std::vector<std::string>{"-T"};
  const pid_t task_ssh =
      start_ssh(session, session.words(options, "run " + token), [&] { streams.take_place(); });
  streams.begin();
  const UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  const auto hand_on = [&](int number) {
    start_ssh(session, session.words({"-T"}, "signal " + token + " " + std::to_string(number)),
              [&] {
                for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
                  ::dup2(null.value(), fd);
                }
              });
  };
  for (;;) {
    constexpr int kLookMs = 2000;
    std::vector<pollfd> ready{{signals.value(), POLLIN, 0}};
    streams.add_to(ready);
    if (::poll(ready.data(), ready.size(), kLookMs) == 0) {
      if (const auto reason = reason_of_end(session)) {
        streams.finish();
        refuse(*reason);
      }
      continue;
    }
    streams.pass_on(ready);
    for (signalfd_siginfo got{};
         ::read(signals.value(), &got, sizeof got) == static_cast<ssize_t>(sizeof got);) {
      const auto number = static_cast<int>(got.ssi_signo);
      if (number == SIGWINCH) {
        // The terminal that it sees is not the one that has changed.
        streams.pass_size();
        ::kill(task_ssh, SIGWINCH);
      } else if (number != SIGCHLD) {
        hand_on(number);
      }
    }
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid != task_ssh) continue;
      streams.finish();
      end_like_task(session, token, status);
    }
  }
}

}  // namespace cloud
