/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

static const cloud_option options[] = {{"size", CLOUD_INT, 0, NULL, "The size."},
                                       {"image", CLOUD_STRING, 0, NULL, "The engine's own key."}};

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("taken_option");
  table.options = options;
  table.option_count = 2;
  return &table;
}
