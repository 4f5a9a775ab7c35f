/* SPDX-License-Identifier: Apache-2.0
 *
 * Says in a file how often it was loaded: a byte each time. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "plain_table.h"

__attribute__((constructor)) static void count(void) {
  const char* path = getenv("CLOUD_TEST_COUNT");
  const int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0) return;
  const ssize_t written = write(fd, "x", 1);
  (void)written;
  close(fd);
}

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  static cloud_backend_v1 table;
  table = plain_table("once");
  return &table;
}
