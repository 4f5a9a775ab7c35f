/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

/* In a lazily bound module this goes unnoticed until the machine shall start. */
int32_t nobody_defines_this(cloud_backend* self, const cloud_machine_spec* spec,
                            int64_t deadline_ns, cloud_error* err);

static int32_t start(cloud_backend* self, const cloud_machine_spec* spec, int64_t deadline_ns,
                     cloud_error* err) {
  return nobody_defines_this(self, spec, deadline_ns, err);
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("undefined_symbol");
  table.start = start;
  return &table;
}
