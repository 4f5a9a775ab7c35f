/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("console_liar");
  table.capabilities = CLOUD_CAP_CONSOLE;
  return &table;
}
