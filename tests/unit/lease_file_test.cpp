// SPDX-License-Identifier: Apache-2.0
#include "core/address/lease_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <random>
#include <set>

#include "core/system/atomic_file.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using ::testing::HasSubstr;

std::string content(const std::string& path) {
  return *read_file(path);
}
void put(const std::string& path, const std::string& text) {
  std::ofstream{path} << text;
}
Result<void> agree(const std::string&) {
  return {};
}

std::string pool_of(int count) {
  std::string text = "#IP;SLURM_JOB_ID;USED\n";
  for (int i = 0; i < count; ++i) {
    text += "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ";;\n";
  }
  return text;
}

TEST(LeaseFile, WritesWhatTheOriginalScriptsWrite) {
  const TemporaryFolder folder;
  put(folder / "l.csv", "#IP;SLURM_JOB_ID;USED\n192.168.0.1;21815278;USED\n192.168.0.2;;\n");
  LeaseFile file{folder / "l.csv"};

  const auto address = file.lease(42, "", {}, agree);

  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(*address, "192.168.0.2");
  EXPECT_EQ(content(folder / "l.csv"),
            "#IP;SLURM_JOB_ID;USED\n192.168.0.1;21815278;USED\n192.168.0.2;42;USED\n");
}

TEST(LeaseFile, KeepsCommentsOrderLineEndsAndForeignLinesByteByByte) {
  const TemporaryFolder folder;
  const std::string before =
      "\n# a remark;with;semicolons\r\n10.0.0.9;;\r\nforeign\n10.0.0.1;7;x\n\n10.0.0.2;;";
  put(folder / "l.csv", before);
  LeaseFile file{folder / "l.csv"};

  ASSERT_TRUE(file.lease(1, "", {}, agree));
  ASSERT_TRUE(file.lease(2, "", {}, agree));
  EXPECT_EQ(
      content(folder / "l.csv"),
      "\n# a "
      "remark;with;semicolons\r\n10.0.0.9;1;USED\r\nforeign\n10.0.0.1;7;x\n\n10.0.0.2;2;USED");
  ASSERT_TRUE(file.release(1, "10.0.0.9"));
  ASSERT_TRUE(file.release(2, "10.0.0.2"));
  EXPECT_EQ(content(folder / "l.csv"), before);
}

TEST(LeaseTable, NamesEachLineThatItCannotUse) {
  const LeaseTable table{
      "10.0.0.1;;\n10.0.0.1;;\nx;;\n10.0.0.2;;;\n10.0.0.3;abc;USED\n10.0.0.4;;USED\n10.0.0.5;5;"
      "\n10.0.0.6;12",
      "f.csv"};

  std::vector<std::string> found;
  for (const auto& problem : table.problems())
    found.push_back(problem.where.text() + ": " + problem.message);
  ASSERT_EQ(found.size(), 7U);
  EXPECT_THAT(found[0], HasSubstr("f.csv:2:1: repeats the address 10.0.0.1"));
  EXPECT_THAT(found[1], HasSubstr("f.csv:3:1: does not begin with an IPv4 address"));
  EXPECT_THAT(found[2], HasSubstr("f.csv:4:1: is not 'IP;SLURM_JOB_ID;USED'"));
  EXPECT_THAT(found[3], HasSubstr("job id that is no number"));
  EXPECT_THAT(found[4], HasSubstr("used without a job"));
  EXPECT_THAT(found[5], HasSubstr("names a job without being marked as used"));
  EXPECT_THAT(
      found[6],
      HasSubstr(
          "f.csv:8:1: is not 'IP;SLURM_JOB_ID;USED': repair or remove it (the last line is torn)"));
  EXPECT_EQ(table.leases().size(), 1U);
}

TEST(LeaseFile, SaysHowManyAreLeasedWhenNoneIsLeft) {
  const TemporaryFolder folder;
  put(folder / "l.csv", "10.0.0.1;7;USED\n10.0.0.2;8;USED\ntorn");
  LeaseFile file{folder / "l.csv"};

  const auto address = file.lease(9, "", {}, agree);

  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().blame, Blame::busy);
  EXPECT_THAT(address.error().message, HasSubstr("2 of 2 leased, 1 unusable lines, the first is"));
}

TEST(LeaseFile, TellsTheRecordBeforeItChangesTheFile) {
  const TemporaryFolder folder;
  put(folder / "l.csv", "10.0.0.1;;\n");
  LeaseFile file{folder / "l.csv"};

  const auto address = file.lease(9, "", {}, [&](const std::string& chosen) -> Result<void> {
    EXPECT_EQ(chosen, "10.0.0.1");
    EXPECT_EQ(content(folder / "l.csv"), "10.0.0.1;;\n");
    return Error{Blame::node, "the disk is full"};
  });

  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().message, "the disk is full");
  EXPECT_EQ(content(folder / "l.csv"), "10.0.0.1;;\n");
}

TEST(LeaseFile, GivesAJobItsOwnAddressAgainAndNeverAHeldOne) {
  const TemporaryFolder folder;
  put(folder / "l.csv", "10.0.0.1;;\n10.0.0.2;9;USED\n10.0.0.3;;\n");
  LeaseFile file{folder / "l.csv"};

  EXPECT_EQ(*file.lease(9, "10.0.0.2", {}, agree), "10.0.0.2");
  EXPECT_EQ(*file.lease(10, "", {"10.0.0.1"}, agree), "10.0.0.3");
}

TEST(LeaseFile, ReleasesOnlyWhatTheJobHolds) {
  const TemporaryFolder folder;
  put(folder / "l.csv", "10.0.0.1;7;USED\n10.0.0.2;8;USED\n10.0.0.3;8;USED\n");
  LeaseFile file{folder / "l.csv"};

  ASSERT_TRUE(file.release(9, "10.0.0.1"));
  EXPECT_THAT(content(folder / "l.csv"), HasSubstr("10.0.0.1;7;USED"));
  EXPECT_EQ(*file.release_all(8), (std::vector<std::string>{"10.0.0.2", "10.0.0.3"}));
  EXPECT_EQ(content(folder / "l.csv"), "10.0.0.1;7;USED\n10.0.0.2;;\n10.0.0.3;;\n");
}

TEST(LeaseFile, KeepsOwnerAndModeOfTheFile) {
  const TemporaryFolder folder;
  put(folder / "l.csv", "10.0.0.1;;\n");
  ASSERT_EQ(::chmod((folder / "l.csv").c_str(), 0640), 0);
  LeaseFile file{folder / "l.csv"};

  ASSERT_TRUE(file.lease(9, "", {}, agree));

  struct stat status {};
  ASSERT_EQ(::stat((folder / "l.csv").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST(LeaseFile, SixtyFourProcessesAtOnceGetDifferentAddresses) {
  const TemporaryFolder folder;
  put(folder / "l.csv", pool_of(300));
  std::vector<pid_t> children;
  for (std::uint64_t job = 1; job <= 64; ++job) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      LeaseFile file{folder / "l.csv"};
      for (std::uint64_t i = 0; i < 4; ++i) {
        // Where the disk is slow, the lock is held for longer than one waits for it: that is no
        // address given twice.
        for (;;) {
          const auto leased = file.lease(job * 10 + i, "", {}, agree);
          if (leased) break;
          if (leased.error().message.find("has held the lock") == std::string::npos) ::_exit(1);
        }
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  for (const auto pid : children) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }

  const LeaseTable table{content(folder / "l.csv"), ""};

  std::set<std::uint64_t> jobs;
  for (const auto& lease : table.leases()) {
    if (lease.job_id != 0) jobs.insert(lease.job_id);
  }
  EXPECT_EQ(jobs.size(), 256U);
  EXPECT_EQ(table.leases().size(), 300U);
  EXPECT_TRUE(table.problems().empty());
}

TEST(LeaseFile, AgreesWithASimpleModelOverRandomOperations) {
  const TemporaryFolder folder;
  put(folder / "l.csv", pool_of(12));
  LeaseFile file{folder / "l.csv"};
  std::map<std::uint64_t, std::string> model;
  std::mt19937 random{7};
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t job = 1 + random() % 20;
    if (random() % 2 == 0 && model.count(job) == 0) {
      const auto address = file.lease(job, "", {}, agree);
      ASSERT_EQ(address.has_value(), model.size() < 12);
      if (address) model[job] = *address;
    } else if (model.count(job) != 0) {
      ASSERT_TRUE(file.release(job, model[job]));
      model.erase(job);
    }
    std::map<std::uint64_t, std::string> held;
    const auto table = file.read();
    ASSERT_TRUE(table);
    for (const auto& lease : table->leases()) {
      if (lease.job_id != 0) held[lease.job_id] = lease.address;
    }
    ASSERT_EQ(held, model);
  }
}

TEST(MacAddress, IsMadeOfTheIpAddress) {
  EXPECT_EQ(mac_of("192.168.0.1"), "02:00:c0:a8:00:01");
  EXPECT_EQ(mac_of("nonsense"), "");
}

}  // namespace
}  // namespace cloud
