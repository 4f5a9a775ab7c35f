// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/bounded_call.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "backends/lxc/descriptor.hpp"

namespace cloud::lxc {
namespace {

using sdk::Deadline;
using sdk::Failure;
using sdk::system_failure;

constexpr std::int64_t kPollMs = 100;

[[noreturn]] void answer(int to, const std::function<std::int64_t()>& body) {
  // The signals of a keeper or an epilog are theirs.
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
  try {
    const auto value = body();
    const auto written = ::write(to, &value, sizeof value);
    ::_exit(written == static_cast<ssize_t>(sizeof value) ? 0 : 1);
  } catch (...) {
    ::_exit(1);
  }
}

bool is_readable(int from, const Deadline& deadline, const sdk::Host* host) {
  for (;;) {
    if (host != nullptr && host->cancelled()) {
      throw Failure{CLOUD_E_CANCELLED, "the job is being cancelled"};
    }
    pollfd wanted{from, POLLIN, 0};
    const auto left = std::min(deadline.remaining() / 1000000 + 1, kPollMs);
    if (::poll(&wanted, 1, static_cast<int>(left)) == 1) return true;
    if (deadline.expired()) return false;
  }
}

class Child {
 public:
  explicit Child(pid_t pid) : pid_{pid} {}
  ~Child() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  pid_t pid_;
};

}  // namespace

std::optional<std::int64_t> bounded_call(const std::function<std::int64_t()>& body,
                                         Deadline deadline, const sdk::Host* host) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_failure(CLOUD_E_NODE, "pipe", errno);
  const Descriptor from{ends[0]};
  Descriptor to{ends[1]};
  const pid_t pid = ::fork();
  if (pid < 0) throw system_failure(CLOUD_E_NODE, "fork", errno);
  if (pid == 0) answer(to.value(), body);
  const Child child{pid};
  to = Descriptor{};
  if (!is_readable(from.value(), deadline, host)) return std::nullopt;
  std::int64_t value = 0;
  if (::read(from.value(), &value, sizeof value) != static_cast<ssize_t>(sizeof value)) {
    return std::nullopt;
  }
  return value;
}

Deadline in_seconds(std::int64_t seconds) noexcept {
  return Deadline{Deadline::now() + seconds * 1000000000};
}

}  // namespace cloud::lxc
