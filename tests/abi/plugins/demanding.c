/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "plain_table.h"

static const cloud_option options[] = {
    {"depth", CLOUD_INT, 0, "1", "The depth."},
    {"bridge_name", CLOUD_STRING, 1, NULL, "The bridge that machines are plugged into."},
};

/* Complains about the last setting it is given. */
static int32_t refuse(const cloud_host* host, const cloud_setting* settings, size_t count,
                      cloud_backend** out, cloud_error* err) {
  (void)host, (void)out;
  const cloud_setting* last = &settings[count - 1];
  err->code = CLOUD_E_CONFIG;
  err->setting = (int32_t)count - 1;
  snprintf(err->message, sizeof err->message, "no bridge '%s' (%s:%u:%u)", last->string, last->file,
           last->line, last->column);
  return CLOUD_E_CONFIG;
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("demanding");
  table.options = options;
  table.option_count = 2;
  table.open = refuse;
  return &table;
}
