/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

static const cloud_option options[] = {{"colour", 9, 0, NULL, "The colour."}};

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("bad_option_type");
  table.options = options;
  table.option_count = 1;
  return &table;
}
