// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/accelerator.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/unit/temporary_folder.hpp"

namespace cloud::kvm {
namespace {

TEST(Accelerator, RemembersAVerdictForOneBoot) {
  const auto no = verdict_text({false, "no guest comes up"}, "boot-1");

  const auto known = parse_verdict(no, "boot-1");

  ASSERT_TRUE(known);
  EXPECT_FALSE(known->hardware);
  EXPECT_EQ(known->reason, "no guest comes up");
  EXPECT_TRUE(parse_verdict(verdict_text({true, ""}, "boot-1"), "boot-1")->hardware);
  EXPECT_FALSE(parse_verdict(no, "boot-2"));
  EXPECT_FALSE(parse_verdict(no.substr(0, no.size() - 3), "boot-1"));
  EXPECT_FALSE(parse_verdict("", "boot-1"));
  EXPECT_FALSE(parse_verdict("boot-1\nmaybe\n\n", "boot-1"));
}

class Note : public ::testing::Test {
 protected:
  Accelerator ask(const ProbeAnswer& answer) {
    return remembered_verdict(note_, [&] {
      ++probes_;
      return answer;
    });
  }

  TemporaryFolder folder_;
  std::string note_ = folder_ / "kvm";
  std::atomic<int> probes_ = 0;
};

TEST_F(Note, SparesTheSecondProbe) {
  EXPECT_EQ(ask({false, true, "too slow"}).reason, "too slow");
  EXPECT_EQ(ask({true, true, ""}).reason, "too slow");
  EXPECT_EQ(probes_, 1);

  struct stat status {};
  ASSERT_EQ(::stat(note_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(note_ + ".part"));
}

TEST_F(Note, KeepsNoVerdictThatMayPass) {
  EXPECT_FALSE(ask({false, false, "busy"}).hardware);
  EXPECT_TRUE(ask({true, true, ""}).hardware);
  EXPECT_TRUE(ask({false, true, "never asked"}).hardware);
  EXPECT_EQ(probes_, 2);
}

TEST_F(Note, OfAnotherBootIsAskedAnew) {
  std::ofstream{note_} << verdict_text({true, ""}, "another boot");
  EXPECT_FALSE(ask({false, true, "no"}).hardware);
  EXPECT_EQ(probes_, 1);
}

TEST_F(Note, ThatOthersMayWriteIsNotBelieved) {
  ask({false, true, "no"});
  ::chmod(note_.c_str(), 0666);
  EXPECT_TRUE(ask({true, true, ""}).hardware);
  std::filesystem::rename(note_, folder_ / "elsewhere");
  std::filesystem::create_symlink(folder_ / "elsewhere", note_);
  EXPECT_FALSE(ask({false, true, "no"}).hardware);
  EXPECT_FALSE(std::filesystem::is_symlink(note_));
  EXPECT_EQ(probes_, 3);
}

TEST_F(Note, IsFoundOutByOneOfManyWhoAskAtOnce) {
  std::vector<std::thread> askers;
  std::atomic<int> hardware = 0;
  for (int i = 0; i < 8; ++i) {
    askers.emplace_back([&] {
      const auto verdict = remembered_verdict(note_, [&] {
        ++probes_;
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        return ProbeAnswer{true, true, ""};
      });
      if (verdict.hardware) ++hardware;
    });
  }
  for (auto& asker : askers) asker.join();
  EXPECT_EQ(probes_, 1);
  EXPECT_EQ(hardware, 8);
}

TEST_F(Note, IsNotLeftByAProbeThatIsKilled) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)remembered_verdict(note_, []() -> ProbeAnswer {
      ::kill(::getpid(), SIGKILL);
      return {false, true, "never"};
    });
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(ask({true, true, ""}).hardware);
  EXPECT_EQ(probes_, 1);
}

TEST(Device, IsOpenedAsTheQemuOfTheMachine) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0755);
  const auto device = folder / "device";
  std::ofstream{device} << "";
  const std::uint32_t group = 54321;
  const std::uint32_t range = 1879048192;
  ::chmod(device.c_str(), 0660);
  const auto closed = qemu_identity(range, device);
  EXPECT_EQ(closed.uid, range + 65533);
  EXPECT_EQ(closed.gid, range + 65533) << "never root's group";
  EXPECT_EQ(refusal_for(device, closed), "Permission denied");
  ASSERT_EQ(::chown(device.c_str(), 0, group), 0);
  EXPECT_EQ(refusal_for(device, closed), "Permission denied");
  const auto open = qemu_identity(range, device);
  EXPECT_EQ(open.gid, group);
  EXPECT_EQ(refusal_for(device, open), "");
  ::chmod(device.c_str(), 0640);
  EXPECT_EQ(qemu_identity(range, device).gid, range + 65533) << "the group may not write";
  EXPECT_EQ(::geteuid(), 0U);
}

}  // namespace
}  // namespace cloud::kvm
