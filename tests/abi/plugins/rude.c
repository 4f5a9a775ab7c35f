/* SPDX-License-Identifier: Apache-2.0 */
#include "plain_table.h"

static int32_t many_lines(cloud_backend* self, cloud_error* err) {
  (void)self;
  err->setting = 99;
  err->os_errno = 28;
  strcpy(err->message, "disk full\n\033[31mred\xc2\x9b\xff end\n");
  return CLOUD_E_NODE;
}
static int32_t no_end(cloud_backend* self, const cloud_machine_spec* spec, cloud_error* err) {
  (void)self, (void)spec;
  memset(err->message, 'x', sizeof err->message);
  return CLOUD_E_REQUEST;
}
static int32_t no_words(cloud_backend* self, const cloud_machine_spec* spec, int64_t deadline_ns,
                        cloud_error* err) {
  (void)self, (void)spec, (void)deadline_ns, (void)err;
  return 77;
}
static int32_t fancy(cloud_backend* self, const cloud_machine_ref* ref, cloud_machine_info* out,
                     cloud_error* err) {
  (void)self, (void)err;
  out->state = strcmp(ref->name, "odd-state") == 0 ? 42 : CLOUD_RUNNING;
  out->init_pid = strcmp(ref->name, "odd-pid") == 0 ? -1 : 4711;
  memset(out->detail, 'y', sizeof out->detail);
  return CLOUD_OK;
}
static int32_t names_null(cloud_backend* self, void (*visit)(void* context, const char* name),
                          void* context, cloud_error* err) {
  (void)self, (void)err;
  visit(context, "a\nb");
  visit(context, NULL);
  return CLOUD_OK;
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("rude");
  table.probe = many_lines;
  table.prepare = no_end;
  table.start = no_words;
  table.info = fancy;
  table.list = names_null;
  return &table;
}
