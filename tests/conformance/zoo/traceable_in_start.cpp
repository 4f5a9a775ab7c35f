// SPDX-License-Identifier: Apache-2.0
// A helper of start() has the uid of the job's user, and is gone when start() returns.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    Sleeper::start(spec, deadline);
    const pid_t helper = ::fork();
    if (helper == 0) help(*spec.user);
    ::waitpid(helper, nullptr, 0);
  }

 private:
  [[noreturn]] static void help(const cloud_user& user) {
    if (::setresgid(user.gid, user.gid, user.gid) == 0 &&
        ::setresuid(user.uid, user.uid, user.uid) == 0) {
      ::execl("/bin/sleep", "sleep", "0.2", nullptr);
    }
    ::_exit(127);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "traceable_in_start", 0);
