// SPDX-License-Identifier: Apache-2.0
#include "enter/task_signals.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cloud {

bool is_handed_on(int number) {
  switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGCHLD:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTTIN:
    case SIGTTOU:
    case SIGTSTP:
      return false;
    default:
      return number < 32 || (number >= SIGRTMIN && number <= SIGRTMAX);
  }
}

sigset_t block_task_signals() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (is_handed_on(number)) ::sigaddset(&wanted, number);
  }
  ::sigaddset(&wanted, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  return wanted;
}

void restore_default_signals() {
  for (int number = 1; number <= SIGRTMAX; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void end_like(int status) {
  if (WIFEXITED(status)) ::_exit(WEXITSTATUS(status));
  // Slurm reports the signal that a task has died of.
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int number = WTERMSIG(status);
  ::signal(number, SIG_DFL);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, number);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::kill(::getpid(), number);
  ::_exit(128 + number);
}

}  // namespace cloud
