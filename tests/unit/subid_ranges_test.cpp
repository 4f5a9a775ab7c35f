// SPDX-License-Identifier: Apache-2.0
#include "core/machine/subid_ranges.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

class SubidRanges : public ::testing::Test {
 protected:
  SubidRanges() {
    config_.subid_first = 1000000000;
    config_.subid_count = 3 * 65536;
  }

  std::uint32_t take(std::uint32_t uid, const std::vector<JobRecord>& records = {}) {
    auto taken = take_subid_range(config_, file_, uid, records);
    return taken ? *taken : 0;
  }

  static JobRecord machine_of(std::uint32_t uid, std::uint32_t first) {
    JobRecord record;
    record.uid = uid;
    record.machine = MachineRecord{"lxc", "m", "/w", first, ""};
    return record;
  }

  SiteConfig config_;
  TemporaryFolder folder_;
  std::string file_ = folder_ / "subid_ranges";
};

TEST_F(SubidRanges, BelongToOneUserForGood) {
  const auto first = take(1);
  const auto second = take(2);

  EXPECT_EQ(first, 1000000000U);
  EXPECT_EQ(second, 1000065536U);
  EXPECT_EQ(take(1), first);
  EXPECT_EQ(take(2), second);
}

TEST_F(SubidRanges, AreSharedByTheMachinesOfOneUser) {
  const auto first = take(1);

  EXPECT_EQ(take(1, {machine_of(1, first)}), first);
}

TEST_F(SubidRanges, ChangeHandsOldestFirstWhereAllAreGivenAway) {
  const auto of_user_1 = take(1);
  const auto of_user_2 = take(2);
  take(3);

  EXPECT_EQ(take(4, {machine_of(1, of_user_1)}), of_user_2) << "a machine of user 1 lives";
}

TEST_F(SubidRanges, AreRefusedWhereMachinesHoldAll) {
  std::vector<JobRecord> records;
  for (std::uint32_t uid = 1; uid <= 3; ++uid) records.push_back(machine_of(uid, take(uid)));

  const auto taken = take_subid_range(config_, file_, 4, records);

  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().blame, Blame::busy);
}

TEST_F(SubidRanges, SkipWhatTheConfigurationNoLongerHas) {
  take(1);
  config_.subid_first = 2000000000;

  EXPECT_EQ(take(1), 2000000000U);
}

TEST_F(SubidRanges, SurviveAForeignLine) {
  std::ofstream{file_} << "garbage\n1000000000 7\n";

  EXPECT_EQ(take(1), 1000065536U);
  EXPECT_EQ(take(7), 1000000000U);
}

}  // namespace
}  // namespace cloud
