// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/job/cgroup_limits.hpp"
#include "core/job/cgroup_path.hpp"
#include "core/job/oom_count.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using ::testing::HasSubstr;

constexpr const char* kV1Job = "/slurm_n1/uid_7/job_42";
constexpr const char* kV2Job = "/system.slice/n1_slurmstepd.scope/job_42";

// Folders and files as Slurm 22.05 makes them, below `root` in the place of a mounted hierarchy.
void put(const std::string& root, const std::string& file, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path{root + file}.parent_path());
  std::ofstream{root + file} << text;
}

void make(const std::string& root, const std::string& path) {
  std::filesystem::create_directories(root + path);
}

class V1 : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string memory_ = folder_ / "memory";
  std::string cpuset_ = folder_ / "cpuset";
  // As a hybrid node has it, with an empty v2.
  CgroupHierarchies hierarchies_{{folder_ / "systemd", {"name=systemd"}},
                                 {folder_ / "unified", {}},
                                 {memory_, {"memory"}},
                                 {cpuset_, {"cpuset"}}};
  std::string job_ = kV1Job;
};

class V2 : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string root_ = folder_.path();
  CgroupHierarchies hierarchies_{{root_, {}}};
  std::string job_ = kV2Job;
};

TEST_F(V1, FindsTheExternStepInAnyController) {
  const std::string text =
      "9:name=systemd:/\n6:freezer:/slurm_n1/uid_7/job_42\n"
      "4:memory:/slurm_n1/uid_7/job_42/step_extern/task_0\n0::/\n";

  EXPECT_EQ(*extern_step_path(text, 42), job_ + "/step_extern");
  EXPECT_THAT(extern_step_path(text, 4).error().message,
              HasSubstr("no control group of the extern step of job 4"));
}

TEST_F(V2, FindsTheExternStepFromWhereTheKeeperIsBorn) {
  const std::string text = "0::/system.slice/n1_slurmstepd.scope/job_42/step_extern/slurm\n";

  EXPECT_EQ(*extern_step_path(text, 42), job_ + "/step_extern");
  EXPECT_FALSE(extern_step_path("0::/system.slice/n1_slurmstepd.scope/job_42/step_0/slurm\n", 42));
  EXPECT_FALSE(extern_step_path("0::/system.slice/n1_slurmstepd.scope/system\n", 42));
}

TEST(CgroupHierarchy, KnowsWhichVersionHasTheControllers) {
  EXPECT_TRUE(is_unified({{"/sys/fs/cgroup", {}}}));
  EXPECT_TRUE(is_unified({{"/sys/fs/cgroup", {}}, {"/sys/fs/cgroup/systemd", {"name=systemd"}}}));
  EXPECT_FALSE(is_unified({{"/sys/fs/cgroup/unified", {}}, {"/sys/fs/cgroup/cpu", {"cpu"}}}));
  EXPECT_FALSE(is_unified({}));
}

TEST_F(V1, PutsTheMachineWhereTheStepIsAccounted) {
  const auto step = job_ + "/step_extern";
  make(memory_, step);
  EXPECT_EQ(machine_cgroup_path(step, hierarchies_), step + "/cloud");

  make(memory_, step + "/task_0");
  EXPECT_EQ(machine_cgroup_path(step, hierarchies_), step + "/task_0/cloud");
}

TEST_F(V2, PutsTheMachineWhereTheStepIsAccounted) {
  const auto step = job_ + "/step_extern";
  make(root_, step + "/slurm");
  EXPECT_EQ(machine_cgroup_path(step, hierarchies_), step + "/cloud");

  make(root_, step + "/user");
  EXPECT_EQ(machine_cgroup_path(step, hierarchies_), step + "/user/cloud");

  make(root_, step + "/user/task_0");
  EXPECT_EQ(machine_cgroup_path(step, hierarchies_), step + "/user/task_0/cloud");
}

TEST_F(V1, FindsTheMachineOfALostRecord) {
  make(memory_, "/slurm_n1/uid_7/job_4/step_extern/task_0/cloud");
  EXPECT_EQ(find_machine_cgroup("n1", 7, 42, hierarchies_), "");

  make(memory_, job_ + "/step_extern/task_0/cloud");
  EXPECT_EQ(find_machine_cgroup("n1", 7, 42, hierarchies_), job_ + "/step_extern/task_0/cloud");
  EXPECT_EQ(find_machine_cgroup("n1", 8, 42, hierarchies_), "");
  EXPECT_EQ(find_machine_cgroup("n2", 7, 42, hierarchies_), "");
  EXPECT_EQ(find_machine_cgroup("n1", std::nullopt, 42, hierarchies_),
            job_ + "/step_extern/task_0/cloud");
}

TEST_F(V2, FindsTheMachineOfALostRecord) {
  make(root_, "/system.slice/ssh.service/job_42/step_extern/user/task_0/cloud");
  make(root_, job_ + "/step_extern/user/task_0");
  EXPECT_EQ(find_machine_cgroup("n1", 7, 42, hierarchies_), "");

  make(root_, job_ + "/step_extern/user/task_0/cloud");
  EXPECT_EQ(find_machine_cgroup("n1", 7, 42, hierarchies_),
            job_ + "/step_extern/user/task_0/cloud");
  EXPECT_EQ(find_machine_cgroup("n1", 7, 4, hierarchies_), "");
}

TEST_F(V2, FindsTheMachineWhereTheScopeHasNoNodesName) {
  make(root_, "/system.slice/slurmstepd.scope/job_42/step_extern/user/task_0/cloud");

  EXPECT_EQ(find_machine_cgroup("n1", 7, 42, hierarchies_),
            "/system.slice/slurmstepd.scope/job_42/step_extern/user/task_0/cloud");
}

TEST_F(V1, ReadsWhatTheJobMayUse) {
  const auto machine = job_ + "/step_extern/task_0/cloud";
  put(cpuset_, machine + "/cpuset.cpus", "0-1\n");
  put(memory_, job_ + "/memory.limit_in_bytes", "104857600\n");
  put(memory_, machine + "/memory.limit_in_bytes", "9223372036854771712\n");

  EXPECT_EQ(*cpus_of_group(machine, hierarchies_), "0-1");
  EXPECT_EQ(**memory_limit_of_job(machine, hierarchies_), 104857600U);

  put(memory_, job_ + "/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(*memory_limit_of_job(machine, hierarchies_), std::nullopt);
}

TEST_F(V2, ReadsWhatTheJobMayUse) {
  const auto machine = job_ + "/step_extern/user/task_0/cloud";
  // No controller's file below task_0, as it hands none on; the root's are all the node's.
  make(root_, machine);
  put(root_, "/cpuset.cpus.effective", "0-7\n");
  put(root_, job_ + "/step_extern/user/task_0/cpuset.cpus.effective", "2,5\n");
  put(root_, job_ + "/memory.max", "104857600\n");
  put(root_, job_ + "/step_extern/user/task_0/memory.max", "max\n");

  EXPECT_EQ(*cpus_of_group(machine, hierarchies_), "2,5");
  EXPECT_EQ(**memory_limit_of_job(machine, hierarchies_), 104857600U);

  put(root_, job_ + "/memory.max", "max\n");
  EXPECT_EQ(*memory_limit_of_job(machine, hierarchies_), std::nullopt);
}

TEST_F(V1, CountsTheMachinesOwnKills) {
  const auto machine = job_ + "/step_extern/task_0/cloud";
  put(memory_, job_ + "/step_extern/task_0/memory.oom_control", "oom_kill 5\n");
  put(memory_, machine + "/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  put(memory_, machine + "/machine/memory.oom_control", "under_oom 0\noom_kill 2\n");

  EXPECT_EQ(oom_kills(machine, hierarchies_), 2U);
}

TEST_F(V2, CountsKillsWhereTheControllerIs) {
  const auto task = job_ + "/step_extern/user/task_0";
  make(root_, task + "/cloud/machine/init");
  put(root_, job_ + "/memory.events.local", "oom 1\noom_kill 7\n");
  put(root_, task + "/memory.events.local", "low 0\noom 1\noom_kill 3\noom_group_kill 0\n");

  EXPECT_EQ(oom_kills(task + "/cloud", hierarchies_), 3U);
}

TEST_F(V2, SaysWhichFileIsMissing) {
  make(root_, job_);

  EXPECT_THAT(cpus_of_group(job_, hierarchies_).error().message,
              HasSubstr("cpuset.cpus.effective"));
  EXPECT_THAT(memory_limit_of_job(job_, hierarchies_).error().message, HasSubstr("memory.max"));
  EXPECT_THAT(memory_limit_of_job(job_, {}).error().message,
              HasSubstr("no cgroup controller 'memory' is mounted"));
}

TEST(CpuList, CountsItsCpus) {
  EXPECT_EQ(count_cpu_list("0-3,8"), 5U);
  EXPECT_EQ(count_cpu_list("7"), 1U);
  EXPECT_EQ(count_cpu_list(""), 0U);
}

}  // namespace
}  // namespace cloud
