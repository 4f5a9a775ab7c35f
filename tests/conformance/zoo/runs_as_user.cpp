// SPDX-License-Identifier: Apache-2.0
// What serves the machine on the node has the uid of the job's user.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;

 private:
  void become(const cloud_machine_spec& spec) override {
    const auto uid = spec.user->uid;
    const auto gid = spec.user->gid;
    if (::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0) ::_exit(1);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "runs_as_user", 0);
