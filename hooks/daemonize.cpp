// SPDX-License-Identifier: Apache-2.0
#include "hooks/daemonize.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "core/log.hpp"

namespace cloud {
namespace {

void redirect(const std::string& log) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (output < 0) output = null;
  ::dup2(null, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
}

}  // namespace

void daemonize(const std::string& log, const std::function<Result<void>()>& settle) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::exit(1);
  const pid_t child = ::fork();
  if (child < 0) std::exit(1);
  if (child > 0) {
    ::close(ends[1]);
    char answer = 0;
    ssize_t count = 0;
    do {
      count = ::read(ends[0], &answer, 1);
    } while (count < 0 && errno == EINTR);
    ::_exit(count == 1 ? 0 : 1);
  }
  ::close(ends[0]);
  ::setsid();
  redirect(log);
  if (auto settled = settle(); !settled) {
    log_line(LogLevel::error, settled.error().message);
    ::_exit(1);
  }
  [[maybe_unused]] const auto written = ::write(ends[1], "y", 1);
  ::close(ends[1]);
}

}  // namespace cloud
