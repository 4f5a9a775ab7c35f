// SPDX-License-Identifier: Apache-2.0
// Its user namespace belongs to an account of the node, which is another's than the job's user.
#include "tests/conformance/zoo/owned.hpp"

namespace {

class Wrong : public zoo::Owned {
 public:
  using Owned::Owned;

 private:
  std::uint32_t owner_of(const cloud_machine_spec& /*unused*/) const override {
    constexpr std::uint32_t kDaemon = 1;
    return kDaemon;
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "owned_by_account", 0);
