// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/accelerator.hpp"

namespace cloud::kvm {

Accelerator find_accelerator(const std::string& note) {
  (void)note;
  return {false, "not probed"};
}

}  // namespace cloud::kvm
