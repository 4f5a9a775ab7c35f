// SPDX-License-Identifier: Apache-2.0
//
// A C++ backend without the SDK's guard.
#include <stdexcept>

#include "plain_table.h"

namespace {

std::int32_t probe(cloud_backend*, cloud_error*) {
  throw std::runtime_error{"lost my way"};
}
std::int32_t prepare(cloud_backend*, const cloud_machine_spec*, cloud_error*) {
  throw 7;
}
void close_badly(cloud_backend*) {
  throw 8;
}

}  // namespace

extern "C" const cloud_backend_v1* cloud_backend_entry_v1() {
  static cloud_backend_v1 table;
  table = plain_table("unguarded");
  table.probe = probe;
  table.prepare = prepare;
  table.close = close_badly;
  return &table;
}
