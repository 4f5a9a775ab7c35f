/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "plain_table.h"

__attribute__((constructor)) static void leave(void) {
  exit(0);
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("exiting_constructor");
  return &table;
}
