/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("short_table");
  table.struct_size = offsetof(cloud_backend_v1, list);
  return &table;
}
