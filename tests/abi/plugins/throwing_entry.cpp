// SPDX-License-Identifier: Apache-2.0
#include <spank-cloud/backend_abi.h>

#include <stdexcept>

extern "C" const cloud_backend_v1* cloud_backend_entry_v1() {
  throw std::runtime_error{"no licence found"};
}
