/* SPDX-License-Identifier: Apache-2.0
 *
 * A correct table without the C++ layer, for the modules that are wrong in one way each. */
#ifndef CLOUD_TESTS_PLAIN_TABLE_H
#define CLOUD_TESTS_PLAIN_TABLE_H

#include <spank-cloud/backend_abi.h>
#include <string.h>

/* Not every module uses every function. */
#define PLAIN __attribute__((unused)) static

PLAIN int plain_self;

PLAIN int32_t plain_open(const cloud_host* host, const cloud_setting* settings, size_t count,
                         cloud_backend** out, cloud_error* err) {
  (void)host, (void)settings, (void)count, (void)err;
  *out = (cloud_backend*)&plain_self;
  return CLOUD_OK;
}
PLAIN void plain_close(cloud_backend* self) {
  (void)self;
}
PLAIN int32_t plain_probe(cloud_backend* self, cloud_error* err) {
  (void)self, (void)err;
  return CLOUD_OK;
}
PLAIN int32_t plain_spec(cloud_backend* self, const cloud_machine_spec* spec, cloud_error* err) {
  (void)self, (void)spec, (void)err;
  return CLOUD_OK;
}
PLAIN int32_t plain_start(cloud_backend* self, const cloud_machine_spec* spec, int64_t deadline_ns,
                          cloud_error* err) {
  (void)self, (void)spec, (void)deadline_ns, (void)err;
  return CLOUD_OK;
}
PLAIN int32_t plain_wait_ready(cloud_backend* self, const cloud_machine_ref* ref,
                               int64_t deadline_ns,
                               void (*progress)(void* context, const char* phase), void* context,
                               cloud_error* err) {
  (void)self, (void)ref, (void)deadline_ns, (void)progress, (void)context, (void)err;
  return CLOUD_OK;
}
PLAIN int32_t plain_info(cloud_backend* self, const cloud_machine_ref* ref, cloud_machine_info* out,
                         cloud_error* err) {
  (void)self, (void)ref, (void)out, (void)err;
  return CLOUD_OK;
}
PLAIN int32_t plain_ref(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                        cloud_error* err) {
  (void)self, (void)ref, (void)deadline_ns, (void)err;
  return CLOUD_OK;
}
PLAIN int32_t plain_list(cloud_backend* self, void (*visit)(void* context, const char* name),
                         void* context, cloud_error* err) {
  (void)self, (void)visit, (void)context, (void)err;
  return CLOUD_OK;
}

PLAIN cloud_backend_v1 plain_table(const char* name) {
  cloud_backend_v1 table;
  memset(&table, 0, sizeof table);
  table.struct_size = sizeof table;
  table.name = name;
  table.version = "1.0";
  table.open = plain_open;
  table.close = plain_close;
  table.probe = plain_probe;
  table.prepare = plain_spec;
  table.start = plain_start;
  table.wait_ready = plain_wait_ready;
  table.info = plain_info;
  table.stop = plain_ref;
  table.destroy = plain_ref;
  table.list = plain_list;
  table.image_formats = "directory";
  return table;
}

#endif
