/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "plain_table.h"

__attribute__((constructor)) static void crash(void) {
  raise(SIGSEGV);
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("crashing_constructor");
  return &table;
}
