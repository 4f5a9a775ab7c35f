// SPDX-License-Identifier: Apache-2.0
// Its user namespace belongs to the job's user, as that of 1.0's UserNamespace did.
#include "tests/conformance/zoo/owned.hpp"

namespace {

class Wrong : public zoo::Owned {
 public:
  using Owned::Owned;

 private:
  std::uint32_t owner_of(const cloud_machine_spec& spec) const override { return spec.user->uid; }
};

}  // namespace

ZOO_BACKEND(Wrong, "owned_by_user", 0);
