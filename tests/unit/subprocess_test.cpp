// SPDX-License-Identifier: Apache-2.0
//
// Programs that run() starts for a job's user.
#include "core/system/subprocess.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "core/machine/ssh_identity.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

Command shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .environment = {"PATH=/usr/bin:/bin"}};
}

TEST(KeptOutput, IsWhatAProgramPrintsBeforeItEnds) {
  auto command = shell("echo out; echo err >&2; exit 3");
  command.keeps_output = true;

  const auto outcome = run(command);

  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->code, 3);
  EXPECT_EQ(outcome->output, "out\nerr\n");
}

// A pipe that nobody empties would hold it up.
TEST(KeptOutput, IsTheEndOfWhatTakesMoreThanAPipe) {
  auto command = shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end");
  command.keeps_output = true;

  const auto outcome = run(command);

  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->kind, Outcome::Kind::exited);
  EXPECT_EQ(outcome->output.size(), kOutputKept);
  EXPECT_THAT(outcome->output, EndsWith("xxxend\n"));
}

TEST(KeptOutput, IsNotWaitedForWhereADaemonHasTheOtherEnd) {
  auto command = shell("setsid sleep 30 & echo $!");
  command.keeps_output = true;

  const auto outcome = run(command);

  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->output, MatchesRegex("[0-9]+\n"));
  ::kill(std::stoi(outcome->output), SIGKILL);
}

class UsersProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  }
  static MachineUser user() {
    MachineUser made;
    made.uid = 31001;
    made.gid = 31002;
    made.groups = {100};
    return made;
  }
};

constexpr std::uint32_t kRange = 1879048192;

TEST_F(UsersProgram, NeverGetsAFileOfRoots) {
  const TemporaryFolder folder;
  auto command = shell("echo words");
  command.output_file = folder / "log";
  command.user = Credentials{31001, 31002, {}};

  const auto outcome = run(command);

  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("must not go to a file of root's"));
  EXPECT_FALSE(std::filesystem::exists(folder / "log"));
}

// What it hands its descriptors to, as ssh's shared connection, writes files of any size.
TEST_F(UsersProgram, HasNoLimitOfOursOnFiles) {
  auto command = shell("ulimit -f");
  command.keeps_output = true;
  command.user = Credentials{31001, 31002, {}};

  const auto outcome = run(command);

  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->output, "unlimited\n");
}

TEST_F(UsersProgram, HoldsAConnectionAsTheUserInAUserNamespaceOfItsOwn) {
  const auto identity = SshIdentity::make(user(), kRange);
  ASSERT_TRUE(identity) << identity.error().message;
  auto command = shell("id -u; id -g; id -G; cat /proc/self/uid_map; readlink /proc/self/ns/user");
  command.keeps_output = true;
  command.user = identity->credentials();

  const auto outcome = run(command);

  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto group = std::to_string(SshIdentity::group(kRange));
  EXPECT_THAT(outcome->output, HasSubstr("31001\n31002\n31002 " + group + "\n"));
  EXPECT_THAT(outcome->output, HasSubstr("     31001      31001          1\n"));
  const auto ours = std::filesystem::read_symlink("/proc/self/ns/user").string();
  EXPECT_THAT(outcome->output, ::testing::Not(HasSubstr(ours)));
}

// Whether a process with the user's ids may trace the one that the script runs in.
bool can_be_traced(const Credentials& as) {
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  auto command = shell("echo $$ >" + (folder / "pid") + "; setsid sleep 30 >&- 2>&- & echo $!");
  command.keeps_output = true;
  command.leaves_daemon = true;
  command.user = as;
  const auto outcome = run(command);
  EXPECT_TRUE(outcome && !outcome->output.empty());
  if (!outcome || outcome->output.empty()) return true;
  const pid_t target = std::stoi(outcome->output);
  const pid_t tracer = ::fork();
  if (tracer == 0) {
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
        ::syscall(SYS_setresgid, as.gid, as.gid, as.gid) != 0 ||
        ::syscall(SYS_setresuid, as.uid, as.uid, as.uid) != 0) {
      ::_exit(2);
    }
    ::_exit(::ptrace(PTRACE_SEIZE, target, nullptr, nullptr) == 0 ? 1 : 0);
  }
  int status = 0;
  ::waitpid(tracer, &status, 0);
  ::kill(target, SIGKILL);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) < 2);
  return WEXITSTATUS(status) == 1;
}

TEST_F(UsersProgram, IsOutOfTheUsersReachThere) {
  const auto identity = SshIdentity::make(user(), kRange);
  ASSERT_TRUE(identity) << identity.error().message;
  EXPECT_TRUE(can_be_traced(Credentials{31001, 31002, {}})) << "or else this test shows nothing";
  EXPECT_FALSE(can_be_traced(identity->credentials()));
}

}  // namespace
}  // namespace cloud
