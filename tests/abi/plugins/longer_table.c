/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

/* What a backend built with a later minor looks like. */
typedef struct later_table {
  cloud_backend_v1 known;
  int32_t (*suspend)(cloud_backend* self, const cloud_machine_ref* ref, cloud_error* err);
} later_table;

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static later_table table;
  table.known = plain_table("longer_table");
  table.known.struct_size = sizeof table;
  table.known.abi_minor = 7;
  table.known.capabilities = UINT64_C(1) << 40;
  return &table.known;
}
