// SPDX-License-Identifier: Apache-2.0
//
// Programs and processes of the SDK, against the kernel.
#include <gmock/gmock.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <spank-cloud/process.hpp>
#include <spank-cloud/program.hpp>
#include <spank-cloud/user_namespace.hpp>

#include "tests/unit/fake_engine.hpp"
#include "tests/unit/sdk_user.hpp"
#include "tests/unit/temporary_folder.hpp"
#include "tests/unit/test_cgroup.hpp"

namespace cloud::sdk {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr std::uint32_t kFirst = 1879048192;

uid_t owner_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_uid : 0;
}

class SdkProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  }

  std::vector<std::string> lines_of(Program program) {
    const auto started = start_program(program, engine_.host());
    std::vector<std::string> lines;
    for (;;) {
      auto line = read_line(started.output, soon(), engine_.host(), "read");
      if (line.empty()) return lines;
      lines.push_back(std::move(line));
    }
  }

  FakeEngine engine_;
};

TEST_F(SdkProgram, IsInItsGroupBeforeItIsTheProgram) {
  (void)start_program({{"/bin/true"}, "/job/machine", {}, {}}, engine_.host());

  EXPECT_EQ(engine_.placed, "/job/machine");
  EXPECT_EQ(engine_.program_before, fs::read_symlink("/proc/self/exe"));
}

TEST_F(SdkProgram, HasTheIdsThatServeTheMachine) {
  cloud_machine_spec spec{};
  spec.subid_first = kFirst;

  EXPECT_THAT(lines_of({{"/bin/sh", "-c", "id -u; id -g; id -G"},
                        "/x",
                        ProgramIdentity::engine_of(spec, {107}),
                        {}}),
              ElementsAre("1879113725", "1879113725", "1879113725 107"));
}

TEST_F(SdkProgram, HasNoGroupOfTheCallers) {
  EXPECT_THAT(lines_of({{"/usr/bin/id", "-G"}, "/x", ProgramIdentity::root(), {}}),
              ElementsAre("0"));
}

TEST_F(SdkProgram, IsRootOfTheMachineAndNobodyOnTheNode) {
  const UserNamespace machine{kFirst, make_id_map({31001}, kFirst), make_id_map({31002}, kFirst)};
  const auto started = start_program({{"/bin/sh", "-c", "id -u; id -G; echo; sleep 30"},
                                      "/x",
                                      ProgramIdentity::root_of(machine.fd()),
                                      {}},
                                     engine_.host());

  EXPECT_EQ(read_line(started.output, soon(), engine_.host(), "read"), "0");
  EXPECT_EQ(read_line(started.output, soon(), engine_.host(), "read"), "0");
  EXPECT_EQ(owner_of("/proc/" + std::to_string(started.pid)), kFirst);
  ::kill(started.pid, SIGKILL);
}

TEST_F(SdkProgram, RunsInAUserNamespaceThatNobodyCanLogInTo) {
  const UserNamespace machine{kFirst, make_id_map({31001}, kFirst), make_id_map({31002}, kFirst)};
  uid_t owner = 0;

  ASSERT_EQ(::ioctl(machine.fd(), NS_GET_OWNER_UID, &owner), 0);

  EXPECT_EQ(owner, namespace_owner(kFirst));
}

TEST_F(SdkProgram, HasNeitherOurEnvironmentNorOurFolderNorOurSignals) {
  ::signal(SIGPIPE, SIG_IGN);

  EXPECT_THAT(lines_of({{"/usr/bin/env"}, "/x", {}, {}}),
              ElementsAre("PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
  EXPECT_THAT(lines_of({{"/bin/pwd"}, "/x", {}, {}}), ElementsAre("/"));
  EXPECT_THAT(lines_of({{"/bin/grep", "SigIgn", "/proc/self/status"}, "/x", {}, {}}),
              ElementsAre("SigIgn:\t0000000000000000"));
  ::signal(SIGPIPE, SIG_DFL);
}

TEST_F(SdkProgram, InheritsTheDescriptorsThatAreNamed) {
  const Descriptor file{::open("/etc/passwd", O_RDONLY | O_CLOEXEC)};
  // Numbers that `ls` does not open itself.
  const Descriptor kept{::fcntl(file.value(), F_DUPFD_CLOEXEC, 50)};
  const Descriptor other{::fcntl(file.value(), F_DUPFD, 60)};
  const auto name = std::to_string(kept.value());

  const auto lines = lines_of({{"/bin/ls", "/proc/self/fd"}, "/x", {}, {kept.value()}});

  const std::set<std::string> open{lines.begin(), lines.end()};
  EXPECT_EQ(open.count(name), 1u);
  EXPECT_EQ(open.count(std::to_string(other.value())), 0u);
}

TEST_F(SdkProgram, IsNoChildOfTheCallers) {
  EXPECT_NE(lines_of({{"/bin/sh", "-c", "echo $PPID"}, "/x", {}, {}}).front(),
            std::to_string(::getpid()));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(SdkProgram, SaysWhyItDoesNotRun) {
  const auto start = [&] { (void)start_program({{"/absent"}, "/x", {}, {}}, engine_.host()); };

  EXPECT_EQ(failure_of(start, CLOUD_E_NODE), "run /absent: No such file or directory");
}

TEST_F(SdkProgram, DoesNotRunWhereItCannotBePlaced) {
  const TemporaryFolder folder;
  const auto file = folder.path() + "/ran";
  engine_.refuses = true;
  const auto start = [&] {
    (void)start_program({{"/usr/bin/touch", file}, "/x", {}, {}}, engine_.host());
  };

  EXPECT_EQ(failure_of(start, CLOUD_E_NODE), "no such group");
  ::usleep(100'000);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(SdkProgram, ThatSaysNothingIsNotWaitedForLongerThanAsked) {
  const auto started = start_program({{"/bin/sleep", "30"}, "/x", {}, {}}, engine_.host());
  const auto read = [&](Deadline deadline) {
    (void)read_line(started.output, deadline, engine_.host(), "start it");
  };

  EXPECT_EQ(failure_of([&] { read(Deadline{Deadline::now() + 50'000'000}); }, CLOUD_E_TIMEOUT),
            "start it: no answer in time");
  engine_.cancelled = true;
  EXPECT_EQ(failure_of([&] { read(soon()); }, CLOUD_E_CANCELLED),
            "start it: the job is being cancelled");
  ::kill(started.pid, SIGKILL);
}

class SdkProcess : public SdkProgram {
 protected:
  void SetUp() override {
    SdkProgram::SetUp();
    if (IsSkipped()) return;
    if (!group_.make("sdk-test")) GTEST_SKIP() << TestCgroup::kMissing;
    engine_.folder = group_.folder();
  }
  void TearDown() override { group_.remove(); }

  TestCgroup group_;
  const std::string& name_ = group_.name();
};

TEST_F(SdkProcess, IsFoundThroughItsGroupAndKilled) {
  const auto started = start_program({{"/usr/bin/unshare", "--pid", "--fork", "--kill-child",
                                       "/bin/sh", "-c", "echo up; sleep 60"},
                                      name_,
                                      {},
                                      {}},
                                     engine_.host());
  ASSERT_EQ(read_line(started.output, soon(), engine_.host(), "read"), "up");

  const auto found = processes_of(name_);
  const auto init = init_of(name_);

  EXPECT_EQ(std::count(found.begin(), found.end(), started.pid), 1);
  EXPECT_EQ(std::count(found.begin(), found.end(), init.pid), 1);
  EXPECT_NE(init.pid, started.pid);
  kill_processes(name_, soon(), engine_.host());
  EXPECT_TRUE(processes_of(name_).empty());
  EXPECT_FALSE(init_of(name_));
}

TEST_F(SdkProcess, ThatIgnoresASignalIsWaitedForUntilTheDeadline) {
  const auto started = start_program(
      {{"/bin/sh", "-c", "trap '' TERM; echo up; sleep 60"}, name_, {}, {}}, engine_.host());
  ASSERT_EQ(read_line(started.output, soon(), engine_.host(), "read"), "up");
  const auto process = open_process(started.pid, [](pid_t) { return true; });

  EXPECT_FALSE(
      end_process(process, SIGTERM, Deadline{Deadline::now() + 50'000'000}, engine_.host()));
  EXPECT_TRUE(end_process(process, SIGKILL, soon(), engine_.host()));
  EXPECT_TRUE(end_process(process, SIGKILL, soon(), engine_.host()));
  kill_processes(name_, soon(), engine_.host());
}

TEST(SdkProcessOfNoGroup, IsNone) {
  const FakeEngine engine;

  EXPECT_TRUE(processes_of("").empty());
  EXPECT_FALSE(init_of("/no/such/group"));
  EXPECT_TRUE(end_process({}, SIGKILL, soon(), engine.host()));
  EXPECT_NO_THROW(kill_processes("", soon(), engine.host()));
}

}  // namespace
}  // namespace cloud::sdk
