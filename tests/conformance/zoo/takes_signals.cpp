// SPDX-License-Identifier: Apache-2.0
// What serves the machine can be neither traced nor joined, but its real uid is still that of the
// job's user, who may signal it.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;

 private:
  void become(const cloud_machine_spec& spec) override {
    const auto id = spec.subid_first;
    if (::setresgid(id, id, id) != 0 || ::setresuid(spec.user->uid, id, id) != 0) ::_exit(1);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "takes_signals", 0);
