// SPDX-License-Identifier: Apache-2.0
//
// What is left of a machine whose start was cut off, against the kernel.
#include <gmock/gmock.h>

#include <spank-cloud/program.hpp>

#include "backends/lxc/init_process.hpp"
#include "tests/unit/fake_engine.hpp"
#include "tests/unit/test_cgroup.hpp"

namespace cloud::lxc {
namespace {

using sdk::processes_of;

class LxcProcess : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "makes a control group, and this is not root";
    if (!group_.make("lxc-test", "/monitor")) GTEST_SKIP() << sdk::TestCgroup::kMissing;
  }
  void TearDown() override { group_.remove(); }

  // In the monitor's group, or another; says "up".
  void start(const std::string& script, const std::string& group = "/monitor") {
    engine_.folder = group_.folder() + group;
    const auto started =
        sdk::start_program({{"/bin/sh", "-c", script}, cgroup_ + group, {}, {}}, engine_.host());
    ASSERT_EQ(sdk::read_line(started.output, sdk::soon(), engine_.host(), "read"), "up");
  }

  sdk::FakeEngine engine_;
  sdk::TestCgroup group_;
  const std::string& cgroup_ = group_.name();
};

TEST_F(LxcProcess, AMonitorThatHasNoInitYetIsEnded) {
  start("echo up; while :; do :; done");
  ASSERT_FALSE(find_init(cgroup_));

  end_machine("sc-n1-7", cgroup_, engine_.host());

  EXPECT_TRUE(processes_of(cgroup_ + "/monitor").empty());
}

TEST_F(LxcProcess, SoIsOneThatHasNotEnteredItsGroupYet) {
  start("echo up; while :; do :; done", "");

  end_machine("sc-n1-7", cgroup_, engine_.host());

  EXPECT_TRUE(processes_of(cgroup_).empty());
}

TEST_F(LxcProcess, AnInitIsEndedAndItsMonitorToo) {
  start("sleep 60 & echo up; while :; do wait; done");
  const auto init = find_init(cgroup_);
  ASSERT_TRUE(init);

  end_machine("sc-n1-7", cgroup_, engine_.host());

  EXPECT_TRUE(sdk::has_ended(init, sdk::soon(), engine_.host()));
  EXPECT_TRUE(processes_of(cgroup_ + "/monitor").empty());
}

TEST_F(LxcProcess, AMachineThatNeverWasIsNoneToEnd) {
  EXPECT_NO_THROW(end_machine("sc-n1-7", cgroup_, engine_.host()));
  EXPECT_NO_THROW(end_machine("sc-n1-7", "", engine_.host()));
}

}  // namespace
}  // namespace cloud::lxc
