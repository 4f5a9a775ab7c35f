/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

__attribute__((visibility("default"))) int log_message(void);
int log_message(void) {
  return 0;
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("two_exports");
  return &table;
}
