// SPDX-License-Identifier: Apache-2.0
#include "core/machine/subid_ranges.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::uint32_t kFirst = 1000000000;

class SubidRanges : public ::testing::Test {
 protected:
  SubidRanges() {
    config_.subid_first = kFirst;
    config_.subid_count = 3 * 65536;
    config_.uid_first = 1000;
  }

  [[nodiscard]] Result<std::uint32_t> of(std::uint32_t uid,
                                         const std::vector<JobRecord>& records = {}) const {
    return subid_range_of(config_, uid, records);
  }

  [[nodiscard]] std::uint32_t first_of(std::uint32_t uid) const {
    const auto first = of(uid);
    EXPECT_TRUE(first) << first.error().message;
    return first ? *first : 0;
  }

  static JobRecord machine_of(std::uint32_t uid, std::uint32_t first) {
    JobRecord record;
    record.uid = uid;
    record.job_id = 17;
    record.machine = MachineRecord{"lxc", "m", "/w", first, ""};
    return record;
  }

  SiteConfig config_;
};

TEST_F(SubidRanges, AreWhereTheUidSays) {
  EXPECT_EQ(first_of(1000), kFirst);
  EXPECT_EQ(first_of(1002), kFirst + 2 * 65536);
}

TEST_F(SubidRanges, AreNotMadeUpForOthers) {
  for (const std::uint32_t uid : {999U, 1003U, 4294967294U}) {
    const auto none = of(uid);
    ASSERT_FALSE(none) << uid;
    EXPECT_EQ(none.error().blame, Blame::site);
    EXPECT_THAT(none.error().message, HasSubstr("user " + std::to_string(uid)));
    EXPECT_THAT(none.error().message, HasSubstr("cloud.uid_first"));
    EXPECT_THAT(none.error().message, HasSubstr("cloud.subid_map"));
  }
}

TEST_F(SubidRanges, AreSharedByTheMachinesOfOneUserAlone) {
  EXPECT_TRUE(of(1000, {machine_of(1000, kFirst)}));
  const auto held = of(1000, {machine_of(7, kFirst)});

  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().blame, Blame::busy);
  EXPECT_THAT(held.error().message, HasSubstr("user 7's, job 17"));
  // Of a configuration that began elsewhere.
  EXPECT_FALSE(of(1000, {machine_of(7, kFirst - 65535)}));
  EXPECT_FALSE(of(1000, {machine_of(7, kFirst + 65535)}));
  EXPECT_TRUE(of(1000, {machine_of(7, kFirst + 65536), machine_of(8, kFirst - 65536)}));
}

TEST(SubidMap, NamesPlaces) {
  const auto map = parse_subid_map("# uid place\n\n200417 2\r\n 7\t0 # the guest\n", "map", 3);

  ASSERT_TRUE(map) << map.error().message;
  EXPECT_THAT(*map, ElementsAre(Pair(7, 0), Pair(200417, 2)));
}

TEST(SubidMap, SaysWhereItIsWrong) {
  const auto problem = [](const std::string& text) {
    const auto map = parse_subid_map(text, "/etc/map", 3);
    return map ? std::string{} : map.error().message;
  };
  EXPECT_THAT(problem("7 0\n8\n"), HasSubstr("/etc/map:2: a line shall be 'UID PLACE'"));
  EXPECT_THAT(problem("7 0 1\n"), HasSubstr("/etc/map:1: a line"));
  EXPECT_THAT(problem("0 0\n"), HasSubstr("/etc/map:1: a line"));
  EXPECT_THAT(problem("alice 0\n"), HasSubstr("/etc/map:1: a line"));
  EXPECT_THAT(problem("7 3\n"), HasSubstr("/etc/map:1: the place shall be 0 to 2"));
  EXPECT_THAT(problem("7 -1\n"), HasSubstr("/etc/map:1: the place"));
  EXPECT_THAT(problem("7 1\n8 1\n"), HasSubstr("/etc/map:2: place 1 is given away"));
  EXPECT_THAT(problem("7 1\n7 2\n"), HasSubstr("/etc/map:2: user 7 stands above"));
}

// A map is believed where only root can have written it, so the folder must be root's, too.
class SubidMapFile : public SubidRanges {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    config_.subid_map = "/var/lib/spank-cloud-subid-map-test";
  }
  void TearDown() override { ::unlink(config_.subid_map.c_str()); }
  void write(const std::string& text) const {
    std::ofstream{config_.subid_map} << text;
    ::chmod(config_.subid_map.c_str(), 0644);
  }
};

TEST_F(SubidMapFile, ComesBeforeTheUid) {
  write("200417 1\n1002 0\n");

  EXPECT_EQ(first_of(200417), kFirst + 65536);
  EXPECT_EQ(first_of(1002), kFirst);
  // Nobody gets what is another's.
  for (const std::uint32_t uid : {1000U, 1001U}) {
    const auto taken = of(uid);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().blame, Blame::site);
    EXPECT_THAT(taken.error().message, HasSubstr(config_.subid_map));
  }
}

TEST_F(SubidMapFile, IsNotBelievedWhereOthersMayWriteIt) {
  write("200417 1\n");
  ::chmod(config_.subid_map.c_str(), 0666);

  const auto none = of(200417);

  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("cloud.subid_map"));
}

TEST_F(SubidMapFile, ThatIsNotThereIsAMistake) {
  EXPECT_FALSE(of(1000));
}

}  // namespace
}  // namespace cloud
