// SPDX-License-Identifier: Apache-2.0
//
// Whom a machine belongs to, as the kernel says it.
#include "core/machine/namespace_owner.hpp"

#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <fstream>

namespace cloud {
namespace {

using testing::HasSubstr;

constexpr uid_t kNobody = 65534;  ///< has an account everywhere
constexpr uid_t kStranger = 1879113727;
constexpr uid_t kUser = 31001;

// A process in user namespaces that `owner` has made, one in the other.
class Owned {
 public:
  Owned(uid_t owner, int depth) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      bool done =
          ::syscall(SYS_setresuid, owner, owner, owner) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
      for (int i = 0; i < depth; ++i) {
        done = done && ::unshare(CLONE_NEWUSER) == 0;
        // Who has no name in one makes no other.
        std::ofstream{"/proc/self/uid_map"} << "0 " << (i == 0 ? owner : 0) << " 1";
        std::ofstream{"/proc/self/setgroups"} << "deny";
        std::ofstream{"/proc/self/gid_map"} << "0 0 1";
      }
      [[maybe_unused]] const auto written = ::write(ends[1], done ? "y" : "n", 1);
      for (;;) ::pause();
    }
    [[maybe_unused]] const auto count = ::read(ends[0], &answer_, 1);
    for (const int end : ends) ::close(end);
  }
  ~Owned() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool is_there() const { return answer_ == 'y'; }

 private:
  pid_t pid_ = -1;
  char answer_ = 'n';
};

class NamespaceOwner : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  }
};

TEST_F(NamespaceOwner, MayBeWhoHasNoAccount) {
  const Owned machine{kStranger, 1};
  ASSERT_TRUE(machine.is_there());

  EXPECT_TRUE(require_no_owner(machine.pid(), kUser));
}

// As of one whom no directory of the node's knows at the moment.
TEST_F(NamespaceOwner, IsNotTheJobsUserWithoutAnAccountEither) {
  const Owned machine{kStranger, 1};
  ASSERT_TRUE(machine.is_there());

  EXPECT_FALSE(require_no_owner(machine.pid(), kStranger));
}

TEST_F(NamespaceOwner, MayBeRoot) {
  const Owned machine{0, 1};
  ASSERT_TRUE(machine.is_there());

  EXPECT_TRUE(require_no_owner(machine.pid(), kUser));
}

TEST_F(NamespaceOwner, IsNobodyWhoCanLogIn) {
  const Owned machine{kNobody, 1};
  ASSERT_TRUE(machine.is_there());

  const auto good = require_no_owner(machine.pid(), kUser);

  ASSERT_FALSE(good);
  EXPECT_EQ(good.error().blame, Blame::site);
  EXPECT_THAT(good.error().message, HasSubstr("belongs to user nobody"));
  EXPECT_THAT(good.error().message, HasSubstr("UserNamespace{spec}"));
}

// The inner one belongs to an id that the outer one does not name.
TEST_F(NamespaceOwner, IsLookedForOutsideOfTheInnermost) {
  const Owned machine{kNobody, 2};
  ASSERT_TRUE(machine.is_there());

  EXPECT_FALSE(require_no_owner(machine.pid(), kUser));
}

TEST(NamespaceOwnerOfTheNode, IsRefused) {
  const auto good = require_no_owner(::getpid(), kUser);

  ASSERT_FALSE(good);
  EXPECT_THAT(good.error().message, HasSubstr("is the node's own"));
}

TEST(NamespaceOwnerOfNobody, IsNoFault) {
  EXPECT_TRUE(require_no_owner(std::int64_t{1} << 22, kUser));
}

}  // namespace
}  // namespace cloud
