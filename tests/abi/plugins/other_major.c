/* SPDX-License-Identifier: Apache-2.0 */
__attribute__((visibility("default"))) const void* cloud_backend_entry_v2(void);
const void* cloud_backend_entry_v2(void) {
  return 0;
}
