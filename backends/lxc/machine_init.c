/* SPDX-License-Identifier: Apache-2.0
 *
 * PID 1 of a machine whose image has no init: reaps what its processes leave behind, and ends when
 * it is told to, which ends the machine.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int main(void) {
  sigset_t wanted;
  sigfillset(&wanted);
  sigprocmask(SIG_SETMASK, &wanted, NULL);
  for (;;) {
    int number = 0;
    if (sigwait(&wanted, &number) != 0) continue;
    if (number == SIGTERM || number == SIGINT || number == SIGPWR || number == SIGRTMIN + 3)
      return 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
}
