// SPDX-License-Identifier: Apache-2.0
#include "tools/raw_terminal.hpp"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace cloud {
namespace {

// For the handlers, which know nothing else.
int terminal = -1;
termios before{};
termios raw{};

constexpr std::array kEnding{SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGALRM,
                             SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS,  SIGABRT};

// JUSTIFICATION: tcsetattr(3), signal(2) and raise(3) are async-signal-safe.
void restore_and_end(int number) {
  ::tcsetattr(terminal, TCSANOW, &before);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void restore_and_stop(int) {
  const int saved = errno;
  ::tcsetattr(terminal, TCSANOW, &before);
  ::raise(SIGSTOP);
  ::tcsetattr(terminal, TCSANOW, &raw);
  errno = saved;
}

}  // namespace

RawTerminal::RawTerminal(int fd) {
  if (::tcgetattr(fd, &before) != 0) return;
  terminal = fd;
  raw = before;
  ::cfmakeraw(&raw);
  for (const int number : kEnding) {
    // What was ignored before (nohup) stays so.
    if (::signal(number, restore_and_end) == SIG_IGN) ::signal(number, SIG_IGN);
  }
  ::signal(SIGTSTP, restore_and_stop);
  // In the background the terminal is not ours to change: then we are stopped here, in its old
  // mode.
  ::tcsetattr(fd, TCSANOW, &raw);
}

RawTerminal::~RawTerminal() {
  if (terminal < 0) return;
  ::tcsetattr(terminal, TCSADRAIN, &before);
  for (const int number : kEnding) ::signal(number, SIG_DFL);
  ::signal(SIGTSTP, SIG_DFL);
  terminal = -1;
}

}  // namespace cloud
