// SPDX-License-Identifier: Apache-2.0
//
// The pieces of a job's end: its time, what it may not wait for, what it leaves to later hooks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/job/cgroup_hierarchy.hpp"
#include "core/job/cgroup_processes.hpp"
#include "core/job/cgroup_tree.hpp"
#include "core/job/record_store.hpp"
#include "core/machine/machine_layers.hpp"
#include "core/stage/time_budget.hpp"
#include "core/stage/unfinished_ends.hpp"
#include "core/system/unique_fd.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TimeBudget, GivesEachStepAtMostWhatIsLeft) {
  const TimeBudget budget{10min};

  EXPECT_EQ(budget.share(5s), 5s);
  EXPECT_LE(budget.share(1h), 10min);
  EXPECT_GT(budget.share(1h), 9min);
  EXPECT_FALSE(budget.is_spent());
}

TEST(TimeBudget, LeavesAMomentForWhatHasToBeDone) {
  const TimeBudget budget{0s};

  EXPECT_TRUE(budget.is_spent());
  EXPECT_GT(budget.share(5s), 0ms);
  EXPECT_LT(budget.share(5s), 1s);
  EXPECT_EQ(budget.share(1ms), 1ms);
}

TEST(TimeBudget, DoesNotCountASitesProgram) {
  TimeBudget budget{100ms};
  {
    const TimeBudget::Pause pause{budget};
    std::this_thread::sleep_for(300ms);
  }

  EXPECT_FALSE(budget.is_spent());
}

class UnfinishedEndsTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  RecordStore store_{folder_.path(), "n1"};
  UnfinishedEnds ends_{store_};
};

TEST_F(UnfinishedEndsTest, AreDueAtOnceAndAfterAFailureLater) {
  EXPECT_THAT(ends_.due(), IsEmpty());

  ends_.begin(17, 0);
  EXPECT_THAT(ends_.due(), ElementsAre(17));
  EXPECT_EQ(ends_.run_of(17), 0U);
  ends_.note_attempt(17);
  EXPECT_THAT(ends_.due(), IsEmpty());
  EXPECT_EQ(ends_.run_of(17), 0U);
  ends_.finish(17, 0);
  EXPECT_FALSE(ends_.run_of(17));
}

TEST_F(UnfinishedEndsTest, AreOfTheLatestRun) {
  ends_.begin(17, 2);
  ends_.begin(17, 1);
  EXPECT_EQ(ends_.run_of(17), 2U);
  ends_.finish(17, 1);
  EXPECT_EQ(ends_.run_of(17), 2U);
  ends_.forget(17);
  EXPECT_FALSE(ends_.run_of(17));
  // Of an earlier build, or cut off by a crash.
  std::ofstream{store_.unfinished_dir() + "/17"};
  EXPECT_EQ(ends_.run_of(17), UINT32_MAX);
  ends_.finish(17, 0);
  EXPECT_FALSE(ends_.run_of(17));
}

TEST_F(UnfinishedEndsTest, AreDueWhereTheClockWasSetBack) {
  ends_.begin(17, 0);
  const timespec tomorrow{std::time(nullptr) + 86400, 0};
  const timespec times[] = {tomorrow, tomorrow};
  ASSERT_EQ(::utimensat(AT_FDCWD, (store_.unfinished_dir() + "/17").c_str(), times, 0), 0);

  EXPECT_THAT(ends_.due(), ElementsAre(17));
}

TEST(CgroupTree, IsNotWalkedBeyondTheTime) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() + "/a/b");
  std::vector<std::string> seen;
  const auto see = [&](const CgroupVisit& at) { seen.push_back(at.name); };

  EXPECT_TRUE(visit_cgroups(folder.path(), see));
  EXPECT_EQ(seen.size(), 3);
  seen.clear();
  EXPECT_FALSE(visit_cgroups(folder.path(), see, std::chrono::steady_clock::now()));
  EXPECT_THAT(seen, IsEmpty());
}

std::vector<std::string> points(const std::vector<MountLine>& lines) {
  std::vector<std::string> found;
  for (const auto& line : lines) found.push_back(line.point);
  return found;
}

TEST(MachineLayers, AreWhatIsMountedForTheMachineAlone) {
  const std::string of_node =
      "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
      "21 20 0:21 / /dev/shm rw shared:2 - tmpfs tmpfs rw\n";
  const std::string of_keeper =
      "120 1 8:1 / / rw master:1 - ext4 /dev/sda1 rw\n"
      "121 120 0:21 / /dev/shm rw master:2 - tmpfs tmpfs rw\n"
      "130 120 7:0 / /s/machines/m/layers/lower ro - squashfs /dev/loop0 ro\n"
      "131 120 0:50 / /s/machines/m/layers/memory rw - tmpfs tmpfs rw\n"
      "132 120 0:51 / /s/machines/m/shm rw - tmpfs tmpfs rw\n"
      "133 120 0:52 / /s/machines/m/rootfs rw - overlay overlay rw\n"
      // The node's, as the user has asked for; another one that the user has found somewhere.
      "134 120 0:21 / /s/machines/m/mount0 rw - tmpfs tmpfs rw\n"
      "135 133 0:60 / /s/machines/m/rootfs/theirs rw - tmpfs tmpfs rw\n"
      "136 120 0:61 / /s/machines/mine rw - tmpfs tmpfs rw\n";

  EXPECT_THAT(
      points(machine_layers(of_keeper, of_node, "/s/machines/m")),
      ElementsAre("/s/machines/m/layers/memory", "/s/machines/m/shm", "/s/machines/m/rootfs"));
}

// A process in a mount namespace with a tmpfs of its own, as a keeper, which ends at once.
TEST(MachineLayers, AreEmptiedAndShutForWhoHoldsAFile) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to mount";
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "m/shm");
  std::array<int, 2> ready{};
  std::array<int, 2> go{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  ASSERT_EQ(::pipe(go.data()), 0);
  const auto shm = folder / "m/shm";
  const pid_t keeper = ::fork();
  if (keeper == 0) {
    const bool good = ::unshare(CLONE_NEWNS) == 0 &&
                      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("tmpfs", shm.c_str(), "tmpfs", 0, nullptr) == 0;
    std::ofstream{shm + "/big"} << std::string(std::size_t{1} << 20, 'x');
    [[maybe_unused]] auto said = ::write(ready[1], good ? "y" : "n", 1);
    char wait = 0;
    said = ::read(go[0], &wait, 1);
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto root = "/proc/" + std::to_string(keeper) + "/root" + shm;
  const UniqueFd held{::open((root + "/big").c_str(), O_RDWR | O_CLOEXEC)};
  const UniqueFd held_folder{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  const UniqueFd mounts{
      ::open(("/proc/" + std::to_string(keeper) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC)};
  ASSERT_TRUE(held);
  ASSERT_TRUE(held_folder);
  ASSERT_TRUE(mounts);
  ASSERT_EQ(::write(go[1], "g", 1), 1);
  ::waitpid(keeper, nullptr, 0);

  const auto shut = shut_machine_layers(mounts, folder / "m", 30s);

  EXPECT_TRUE(shut) << (shut ? "" : shut.error().message);
  struct stat status {};
  ASSERT_EQ(::fstat(held.value(), &status), 0);
  EXPECT_EQ(status.st_size, 0);
  const std::string more(std::size_t{1} << 20, 'y');
  EXPECT_LT(::write(held.value(), more.data(), more.size()), 65536);
  EXPECT_EQ(::openat(held_folder.value(), "another", O_CREAT | O_WRONLY, 0600), -1);
  for (const int end : {ready[0], ready[1], go[0], go[1]}) ::close(end);
}

// From now on the kernel ends the process when it signals another one by its number.
bool forbid_kill_by_number() {
  std::array<sock_filter, 6> program{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 2, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tkill, 1, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{program.size(), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// The number of a process that has ended meanwhile may be a stranger's.
TEST(KillCgroup, SignalsNobodyByNumber) {
  if (::geteuid() != 0) GTEST_SKIP() << "makes a control group, and this is not root";
  // Version 2 has a call that ends a whole group; where version 1 is, its processes are ended one
  // by one.
  const auto hierarchies = cgroup_hierarchies();
  const auto any = std::find_if(hierarchies.begin(), hierarchies.end(), [](const auto& hierarchy) {
    return hierarchy.has("freezer") || hierarchy.has("pids");
  });
  const auto& hierarchy = any == hierarchies.end() ? hierarchies.front() : *any;
  const auto name = "/spank-cloud-kill-" + std::to_string(::getpid());
  const auto folder = hierarchy.mount_point + name;
  ASSERT_TRUE(std::filesystem::create_directory(folder));
  const pid_t victim = ::fork();
  if (victim == 0) {
    for (;;) ::pause();
  }
  std::ofstream{folder + "/cgroup.procs"} << victim << std::flush;

  const pid_t killer = ::fork();
  if (killer == 0) ::_exit(forbid_kill_by_number() && kill_cgroup(name, 30s) ? 0 : 1);
  // It has ended the whole group when it comes back, and a group has a process until that is
  // waited for: waited for here, meanwhile.
  int status = 0;
  EXPECT_EQ(::waitpid(victim, &status, 0), victim);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(::waitpid(killer, &status, 0), killer);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(::rmdir(folder.c_str()), 0);
}

}  // namespace
}  // namespace cloud
