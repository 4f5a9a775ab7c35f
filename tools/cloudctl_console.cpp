// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>

#include "core/machine/console_relay.hpp"
#include "core/system/harmless_text.hpp"
#include "core/system/local_socket.hpp"
#include "core/system/write_all.hpp"
#include "tools/cloudctl.hpp"
#include "tools/file_printer.hpp"
#include "tools/raw_terminal.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr char kDetach = 0x1d;  ///< Ctrl-]
// After the end of a stdin that is no terminal: an answer may still come.
constexpr auto kQuiet = 1s;
constexpr auto kQuietLimit = 10s;

enum class End { detached, console_gone, input_over, output_gone };

class Conversation {
 public:
  Conversation(const UniqueFd& console, bool is_terminal, bool is_filtered)
      : console_{console.value()}, is_terminal_{is_terminal}, is_filtered_{is_filtered} {}

  End run() {
    for (;;) {
      std::array<pollfd, 2> wanted{pollfd{console_, POLLIN, 0}, pollfd{input_, POLLIN, 0}};
      const int count = ::poll(wanted.data(), wanted.size(), wait_ms());
      if (count < 0 && errno == EINTR) continue;
      if (count == 0) return End::input_over;
      if (wanted[0].revents != 0) {
        if (auto end = pass_output()) return *end;
      }
      if (wanted[1].revents != 0) {
        if (auto end = pass_input()) return *end;
      }
    }
  }

 private:
  [[nodiscard]] int wait_ms() const {
    if (input_ >= 0) return -1;
    const auto until = std::min(last_output_ + kQuiet, input_ended_ + kQuietLimit);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
  }

  std::optional<End> pass_output() {
    std::array<char, 16384> buffer{};
    const auto count = ::recv(console_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) return std::nullopt;
    if (count <= 0) return End::console_gone;
    last_output_ = Clock::now();
    const std::string_view text{buffer.data(), static_cast<std::size_t>(count)};
    const bool is_written = is_filtered_ ? write_all(STDOUT_FILENO, filter_.pass(text))
                                         : write_all(STDOUT_FILENO, text);
    if (!is_written) return End::output_gone;
    // Who prints without an end does not hold up the end of the input.
    if (input_ < 0 && last_output_ >= input_ended_ + kQuietLimit) return End::input_over;
    return std::nullopt;
  }

  std::optional<End> pass_input() {
    std::array<char, 1024> buffer{};
    const auto count = ::read(input_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) return std::nullopt;
    if (count <= 0) {
      if (is_terminal_) return End::detached;
      input_ = -1;
      input_ended_ = last_output_ = Clock::now();
      return std::nullopt;
    }
    std::string_view text{buffer.data(), static_cast<std::size_t>(count)};
    const auto detach = is_terminal_ ? text.find(kDetach) : std::string_view::npos;
    text = text.substr(0, detach);
    while (!text.empty()) {
      const auto sent = ::send(console_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return End::console_gone;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (detach != std::string_view::npos) return End::detached;
    return std::nullopt;
  }

  int console_;
  bool is_terminal_;
  bool is_filtered_;
  HarmlessText filter_;
  int input_ = STDIN_FILENO;  ///< -1 after its end
  Clock::time_point input_ended_;
  Clock::time_point last_output_;
};

Result<UniqueFd> open_console(const JobFolder& job) {
  const auto id = std::to_string(job.state.job_id);
  auto console = connect_to(job.dir, "console.sock");
  if (console) return console;
  if (console.error().os_errno == ECONNREFUSED) {
    return Error{Blame::user, "the console of job " + id +
                                  " has ended; what it printed: cloudctl console --log " + id};
  }
  if (console.error().os_errno != ENOENT) return console;
  const bool may_come =
      job.state.phase == MachinePhase::prepared || job.state.phase == MachinePhase::starting;
  if (may_come) {
    return Error{Blame::user, "the machine of job " + id + " has no console yet: it is " +
                                  describe_phase(job.state)};
  }
  return Error{Blame::user, "the machine of job " + id + ", of type " + job.state.type +
                                ", has no console" +
                                (job.state.entry == MachineEntry::namespaces
                                     ? ": cloudctl enter " + id + " takes you into it"
                                     : " (" + describe_phase(job.state) + ")")};
}

// To another's terminal than its user's nothing goes that could steer it.
bool is_filtered_for(const JobFolder& job) {
  return ::isatty(STDOUT_FILENO) != 0 && ::geteuid() != job.state.uid;
}

void say(const char* text, bool is_terminal) {
  std::fprintf(stderr, "%scloudctl: %s\n", is_terminal ? "\r\n" : "", text);
}

}  // namespace

int attach_console(const NodeView& view, std::uint64_t job_id, bool is_raw) {
  const auto job = open_job_folder(view, job_id);
  if (!job) return refuse(job.error());
  const auto console = open_console(*job);
  if (!console) return refuse(console.error());
  const timeval limit{5, 0};
  ::setsockopt(console->value(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const bool is_terminal = ::isatty(STDIN_FILENO) != 0;
  std::fprintf(stderr, "cloudctl: the console of %s%s\n", job->state.machine.c_str(),
               is_terminal ? "; Ctrl-] detaches" : "");
  const bool is_filtered = is_filtered_for(*job) && !is_raw;
  if (is_filtered) {
    say("it is another's machine: what could steer your terminal is shown as '?' (--raw)", false);
  }
  End end{};
  {
    std::optional<RawTerminal> raw;
    if (is_terminal) raw.emplace(STDIN_FILENO);
    end = Conversation{*console, is_terminal, is_filtered}.run();
  }
  if (end == End::detached) say("detached; the machine goes on", is_terminal);
  if (end == End::console_gone) say("the console has ended", is_terminal);
  return end == End::output_gone ? 1 : 0;
}

int print_console(const NodeView& view, std::uint64_t job_id) {
  const auto job = open_job_folder(view, job_id);
  if (!job) return refuse(job.error());
  const Printing how{.headline = false, .harmless = is_filtered_for(*job)};
  auto printed = print_file(console_file(job->dir), how);
  if (printed) return 0;
  if (printed.error().os_errno == ENOENT) {
    return refuse({Blame::user, "the machine of job " + std::to_string(job_id) + ", of type " +
                                    job->state.type + ", has printed nothing: it has no console" +
                                    " (" + describe_phase(job->state) + ")"});
  }
  return refuse(printed.error());
}

}  // namespace cloud
