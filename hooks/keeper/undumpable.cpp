// SPDX-License-Identifier: Apache-2.0
//
// The second lock on a machine's start. liblxc's child, which goes on talking with root's monitor
// until it executes the machine's init, makes itself traceable once it is root of its user
// namespace (PR_SET_DUMPABLE, so that it can use its own /proc). Nobody owns that namespace who
// could make use of it; where somebody did, it would still be out of reach. Executing the init
// makes it traceable again, for the machine's own root.
#include <linux/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

// In the place of libc's, which liblxc would call: the program's own symbols come first.
extern "C" __attribute__((visibility("default"))) int prctl(int option, ...) noexcept;

int prctl(int option, ...) noexcept {
  va_list list;
  va_start(list, option);
  unsigned long values[4];
  for (auto& value : values) value = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_DUMPABLE && values[0] == 1) return 0;
  return static_cast<int>(::syscall(SYS_prctl, option, values[0], values[1], values[2], values[3]));
}
