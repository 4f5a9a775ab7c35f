// SPDX-License-Identifier: Apache-2.0
//
// A deadline for a library that has none: the call is made by a child process, which is killed when
// the time is up. The body shall make all that it needs itself, connections too, and leave nothing
// in memory that the parent relies on: only its answer comes back.
#ifndef SPANK_CLOUD_BOUNDED_CALL_HPP
#define SPANK_CLOUD_BOUNDED_CALL_HPP

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>
#include <system_error>

namespace cloud {
namespace sdk {
namespace detail {

struct AnswerHead {
  std::int32_t code = CLOUD_E_INTERNAL;
  std::int32_t os_errno = 0;
};

inline void write_all(int to, const void* data, std::size_t size) noexcept {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const auto count = ::write(to, next, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    next += count;
    size -= static_cast<std::size_t>(count);
  }
}

[[noreturn]] inline void answer(int to, pid_t parent, const std::function<std::string()>& body) {
  // Who is killed in the middle of a call does not leave one behind, with its locks.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  // The signals of a keeper or an epilog are theirs.
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
  AnswerHead head;
  std::string text = "unknown exception";
  try {
    text = body();
    head.code = CLOUD_OK;
  } catch (const Failure& failure) {
    head = {failure.code(), failure.os_errno()};
    text = failure.what();
  } catch (const std::system_error& node) {
    head = {CLOUD_E_NODE, node.code().value()};
    text = node.what();
  } catch (const std::exception& other) {
    text = other.what();
  } catch (...) {
  }
  write_all(to, &head, sizeof head);
  write_all(to, text.data(), text.size());
  ::_exit(0);
}

class KilledChild {
 public:
  explicit KilledChild(pid_t pid) noexcept : pid_{pid} {}
  ~KilledChild() {
    ::kill(pid_, SIGKILL);
    // One that waits for a file system or a device does not even die: it is left behind.
    constexpr std::chrono::seconds kPatience{5};
    const Descriptor process{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
    if (process && !is_ready_within(process.value(), POLLIN, kPatience)) return;
    uninterrupted([&] { return ::waitpid(pid_, nullptr, 0); });
  }
  KilledChild(const KilledChild&) = delete;
  KilledChild& operator=(const KilledChild&) = delete;

 private:
  pid_t pid_;
};

// What the child wrote until it closed its end.
inline std::string read_answer(int from, const Deadline& deadline, const Host* host,
                               const std::string& what) {
  constexpr std::int64_t kPollMs = 100;
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    if (host != nullptr && host->cancelled()) {
      throw Failure{CLOUD_E_CANCELLED, what + ": the job is being cancelled"};
    }
    pollfd wanted{from, POLLIN, 0};
    const auto left = std::min(deadline.remaining() / 1000000 + 1, kPollMs);
    if (::poll(&wanted, 1, static_cast<int>(left)) == 1) {
      const auto count = ::read(from, buffer.data(), buffer.size());
      if (count == 0) return text;
      if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (deadline.expired()) {
      throw Failure{CLOUD_E_TIMEOUT, what + ": no answer in time"};
    }
  }
}

}  // namespace detail

/// Runs `body` in a child process and returns its answer; a Failure that it throws is thrown here.
/// Throws CLOUD_E_TIMEOUT at the deadline, CLOUD_E_CANCELLED where `host` is given and says so, and
/// CLOUD_E_NODE where the child died or cannot be made. `what` begins those messages.
inline std::string bounded_call(const std::string& what, const std::function<std::string()>& body,
                                Deadline deadline, const Host* host = nullptr) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_failure(CLOUD_E_NODE, "pipe", errno);
  const Descriptor from{ends[0]};
  Descriptor to{ends[1]};
  // JUSTIFICATION: the one way to give up a call that does not return.
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw system_failure(CLOUD_E_NODE, "fork", errno);
  if (pid == 0) detail::answer(to.value(), parent, body);
  const detail::KilledChild child{pid};
  to = Descriptor{};
  const auto text = detail::read_answer(from.value(), deadline, host, what);
  detail::AnswerHead head;
  if (text.size() < sizeof head) {
    throw Failure{CLOUD_E_NODE, what + ": the process that did it has died"};
  }
  std::memcpy(&head, text.data(), sizeof head);
  auto rest = text.substr(sizeof head);
  if (head.code != CLOUD_OK) throw Failure{head.code, rest, head.os_errno};
  return rest;
}

/// The deadline that lies so many seconds ahead, or `limit` where that comes first.
[[nodiscard]] inline Deadline in_seconds(std::int64_t seconds,
                                         Deadline limit = Deadline{INT64_MAX}) noexcept {
  return Deadline{std::min(Deadline::now() + seconds * 1000000000, limit.nanoseconds())};
}

}  // namespace sdk
}  // namespace cloud

#endif
