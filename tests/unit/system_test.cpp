// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/machine/last_line.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/subprocess.hpp"
#include "core/system/trash.hpp"
#include "core/system/tree_removal.hpp"
#include "core/system/trusted_path.hpp"
#include "core/system/unique_fd.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(AtomicFile, ReplacesTheWholeAndSetsTheMode) {
  const TemporaryFolder folder;
  ::umask(077);

  ASSERT_TRUE(write_file(folder / "f", "old", {.mode = 0644, .owner = {}}));
  ASSERT_TRUE(write_file(folder / "f", "new", {.mode = 0644, .owner = {}}));

  struct stat status {};
  ASSERT_EQ(::stat((folder / "f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644U);
  EXPECT_EQ(*read_file(folder / "f"), "new");
}

TEST(AtomicFile, LeavesTheOldContentWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file(folder / "f", "old", {}));
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto written = write_file(folder / "f", std::string(5000, 'x'), {});
    ::_exit(!written && written.error().os_errno == EFBIG ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);

  EXPECT_EQ(status, 0);
  EXPECT_EQ(*read_file(folder / "f"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder.path()}, {}), 1);
}

TEST(AtomicFile, DoesNotFollowALinkInThePlaceOfItsTemporaryFile) {
  const TemporaryFolder folder;
  std::ofstream{folder / "victim"} << "untouched";
  std::filesystem::create_symlink(folder / "victim", folder / temporary_name("f"));

  ASSERT_TRUE(write_file(folder / "f", "new", {}));

  EXPECT_EQ(*read_file(folder / "victim"), "untouched");
}

TEST(ReadFile, DoesNotHangOnAFifoAndRefusesTooMuch) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  std::ofstream{folder / "long"} << std::string(100, 'x');

  EXPECT_THAT(read_file(folder / "fifo").error().message, HasSubstr("is not a regular file"));
  EXPECT_THAT(read_file(folder / "long", 99).error().message, HasSubstr("is longer than 99 bytes"));
  EXPECT_EQ(read_file(folder / "none").error().os_errno, ENOENT);
}

TEST(LastLine, IsTheLastThatIsNotBlankAndSafeToPrint) {
  const TemporaryFolder folder;
  std::ofstream{folder / "f"} << "first\nlast\x1b[2Jline\r\n \n\n";
  EXPECT_EQ(last_line_of(folder / "f"), "last [2Jline");
  std::ofstream{folder / "long"} << std::string(10000, 'x');
  EXPECT_EQ(last_line_of(folder / "long"), std::string(200, 'x'));
  std::ofstream{folder / "blank"} << "\n \n";
  EXPECT_EQ(last_line_of(folder / "blank"), "");
  EXPECT_EQ(last_line_of(folder / "none"), "");
}

TEST(RemoveTree, RemovesLinksAndNotWhatTheyPointAt) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "tree/a/b");
  std::filesystem::create_directories(folder / "kept");
  std::ofstream{folder / "kept/f"} << "x";
  std::filesystem::create_directory_symlink(folder / "kept", folder / "tree/a/link");

  ASSERT_TRUE(remove_tree(folder / "tree"));
  ASSERT_TRUE(remove_tree(folder / "tree"));

  EXPECT_FALSE(std::filesystem::exists(folder / "tree"));
  EXPECT_TRUE(std::filesystem::exists(folder / "kept/f"));
}

TEST(RemoveTree, RemovesATreeDeeperThanAProcessHasDescriptors) {
  constexpr int kDepth = 5000;
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "tree");
  UniqueFd at{::open((folder / "tree").c_str(), O_RDONLY | O_DIRECTORY)};
  for (int i = 0; i < kDepth; ++i) {
    // What a removal that was killed has moved up, and files on the way.
    ASSERT_EQ(::mkdirat(at.value(), i == 0 ? ".removing-0" : "d", 0700), 0);
    const UniqueFd file{::openat(at.value(), "f", O_CREAT | O_WRONLY, 0600)};
    at.reset(::openat(at.value(), i == 0 ? ".removing-0" : "d", O_RDONLY | O_DIRECTORY));
  }
  at.reset();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{32, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);

  const auto removed = remove_tree(folder / "tree");

  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(removed) << (removed ? "" : removed.error().message);
  EXPECT_FALSE(std::filesystem::exists(folder / "tree"));
}

TEST(RemoveTree, DetachesWhatIsMountedAndLeavesItAlone) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to mount";
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "home");
  std::ofstream{folder / "home/precious"} << "x";
  std::filesystem::create_directories(folder / "tree/a/b/view");
  std::ofstream{folder / "tree/a/file"} << "x";

  const pid_t pid = ::fork();
  if (pid == 0) {
    // Of the same file system, so that its number tells nothing; the folder in two layers.
    const auto bind = [&](const char* from, const char* to) {
      return ::mount((folder / from).c_str(), (folder / to).c_str(), nullptr, MS_BIND, nullptr) ==
             0;
    };
    const bool is_mounted = ::unshare(CLONE_NEWNS) == 0 &&
                            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                            bind("home", "tree/a/b/view") && bind("home", "tree/a/b/view") &&
                            bind("home", "tree/a") && bind("home/precious", "tree/a/precious");
    ::_exit(is_mounted && remove_tree(folder / "tree") ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "tree"));
  EXPECT_TRUE(std::filesystem::exists(folder / "home/precious"));
}

TEST(RemoveTree, StopsAtAStrangersFolderAndRemovesTheRest) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to give folders away";
  const TemporaryFolder folder;
  for (const auto* path : {"tree/a/theirs", "tree/machine/root", "tree/z"}) {
    std::filesystem::create_directories(folder / path);
    std::ofstream{folder / path + "/f"} << "x";
  }
  ASSERT_EQ(::chown((folder / "tree/a/theirs").c_str(), 4711, 4711), 0);
  ASSERT_EQ(::chown((folder / "tree/machine/root").c_str(), 200100, 200100), 0);
  ASSERT_EQ(::chown((folder / "tree/z").c_str(), 1234, 1234), 0);
  const TreeOwners owners{200000, 65536, 1234};

  const auto removed =
      remove_tree(folder / "tree", std::chrono::steady_clock::time_point::max(), owners);

  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().os_errno, EPERM);
  EXPECT_THAT(removed.error().message, HasSubstr("tree/a/theirs belongs to uid 4711"));
  EXPECT_TRUE(std::filesystem::exists(folder / "tree/a/theirs/f"));
  EXPECT_FALSE(std::filesystem::exists(folder / "tree/machine"));
  EXPECT_FALSE(std::filesystem::exists(folder / "tree/z"));
}

TEST(Trash, SetsAStrangersFolderAside) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to give folders away";
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "tree/theirs");
  std::filesystem::create_directories(folder / "tree/machines");
  std::ofstream{folder / "tree/theirs/f"} << "x";
  ASSERT_EQ(::chown((folder / "tree/theirs").c_str(), 4711, 4711), 0);
  ASSERT_EQ(::chown((folder / "tree/machines").c_str(), 200100, 200100), 0);

  ASSERT_TRUE(remove_or_discard(folder / "tree", folder / "trash", std::chrono::seconds{5},
                                {200000, 65536, 1234}));

  EXPECT_FALSE(std::filesystem::exists(folder / "tree")) << "the name is free at once";
  const auto found = [&] {
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder / "quarantine"}) {
      if (entry.path().filename() == "f") return true;
    }
    return false;
  };
  for (int i = 0; i < 600 && !std::filesystem::exists(folder / "quarantine"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  for (int i = 0; i < 600 && !std::filesystem::is_empty(folder / "trash"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  EXPECT_TRUE(found());
  EXPECT_TRUE(std::filesystem::is_empty(folder / "trash"));
}

TEST(Trash, IsTendedByWhoComesLater) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "trash/of-another/deep");

  tend_trash(folder / "none");
  tend_trash(folder / "trash");

  for (int i = 0; i < 600 && !std::filesystem::is_empty(folder / "trash"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "trash"));
}

TEST(RemoveTree, TakesAFolderFromWhoMakesFilesInIt) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  constexpr uid_t kUser = 12345;
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod((folder / ".").c_str(), 0755), 0);
  std::filesystem::create_directories(folder / "tree/theirs");
  ASSERT_EQ(::chown((folder / "tree/theirs").c_str(), kUser, kUser), 0);
  const pid_t maker = ::fork();
  if (maker == 0) {
    if (::chdir((folder / "tree/theirs").c_str()) != 0 || ::setresuid(kUser, kUser, kUser) != 0) {
      ::_exit(1);
    }
    for (int i = 0;; ++i) ::close(::open(std::to_string(i).c_str(), O_CREAT | O_WRONLY, 0600));
  }
  while (!std::filesystem::exists(folder / "tree/theirs/9")) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }

  const auto removed =
      remove_tree(folder / "tree", std::chrono::steady_clock::time_point::max(), {.user = kUser});

  ::kill(maker, SIGKILL);
  ::waitpid(maker, nullptr, 0);
  EXPECT_TRUE(removed) << (removed ? "" : removed.error().message);
}

TEST(RemoveTree, EndsAtItsDeadline) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "tree");
  for (int i = 0; i < 200; ++i) std::ofstream{folder / "tree/" + std::to_string(i)} << "x";

  const auto removed = remove_tree(folder / "tree", std::chrono::steady_clock::now());

  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().os_errno, ETIMEDOUT);
}

TEST(Trash, TakesWhatThereIsNoTimeFor) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "tree");
  for (int i = 0; i < 2000; ++i) std::ofstream{folder / "tree/" + std::to_string(i)} << "x";

  ASSERT_TRUE(remove_or_discard(folder / "tree", folder / "trash", std::chrono::milliseconds{0}));

  EXPECT_FALSE(std::filesystem::exists(folder / "tree")) << "the name is free at once";
  for (int i = 0; i < 600 && !std::filesystem::is_empty(folder / "trash"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "trash")) << "another process empties it";
  EXPECT_TRUE(empty_trash(folder / "trash"));
  EXPECT_TRUE(empty_trash(folder / "none"));
}

TEST(Trash, IsNotNeededForASmallTree) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "tree/a");

  ASSERT_TRUE(remove_or_discard(folder / "tree", folder / "trash", std::chrono::seconds{5}));

  EXPECT_FALSE(std::filesystem::exists(folder / "tree"));
  EXPECT_FALSE(std::filesystem::exists(folder / "trash"));
}

TEST(AtomicFile, LetsOneReaderRead) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  constexpr uid_t kReader = 12345;
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod((folder / ".").c_str(), 0755), 0);
  const auto file = folder / "f";
  const auto written =
      write_file(file, "x", {.mode = 0500, .owner = {}, .durable = false, .reader = kReader});
  if (!written && written.error().message.find("access lists") != std::string::npos) {
    GTEST_SKIP() << written.error().message;
  }
  ASSERT_TRUE(written);

  const auto as = [&](uid_t uid, int how) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const bool is_other = ::setresgid(uid, uid, uid) == 0 && ::setresuid(uid, uid, uid) == 0;
      ::_exit(is_other && ::access(file.c_str(), how) == 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status == 0;
  };
  EXPECT_TRUE(as(kReader, R_OK | X_OK));
  EXPECT_FALSE(as(kReader, W_OK));
  EXPECT_FALSE(as(kReader + 1, R_OK));
  EXPECT_FALSE(as(kReader + 1, X_OK));
}

class TrustedPath : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::getuid() != 0) GTEST_SKIP() << "needs root, to give files away";
    std::filesystem::create_directories(folder_ + "/sub");
    std::ofstream{folder_ + "/sub/f"} << "x";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_ = "/var/lib/spank-cloud-trusted-test-" + std::to_string(::getpid());
};

TEST_F(TrustedPath, AcceptsWhatOnlyRootCanChange) {
  EXPECT_TRUE(require_trusted(folder_ + "/sub/f"));
}

TEST_F(TrustedPath, NamesTheComponentItsModeAndARemedyThatOpensNothing) {
  const auto sub = folder_ + "/sub";
  std::filesystem::permissions(sub + "/f", std::filesystem::perms{0664});
  EXPECT_THAT(require_trusted(sub + "/f").error().message,
              HasSubstr(sub +
                        "/f (mode 0664) is writable by others than root: look at what is in "
                        "it, then chmod go-w " +
                        sub + "/f"));
  std::filesystem::permissions(sub + "/f", std::filesystem::perms{0644});
  std::filesystem::permissions(sub, std::filesystem::perms{0775});
  EXPECT_THAT(require_trusted(sub + "/f").error().message,
              HasSubstr(sub + " (mode 0775) is writable by others than root: choose a path"));
  std::filesystem::permissions(sub, std::filesystem::perms{0755});
  ASSERT_EQ(::chown(sub.c_str(), 12345, 0), 0);
  const auto of_user = require_trusted(sub + "/f").error().message;
  EXPECT_THAT(of_user, HasSubstr(sub + " belongs to uid 12345"));
  // It would be the user's to fill, and root's to run.
  EXPECT_THAT(of_user, Not(HasSubstr("chown")));
  EXPECT_THAT(require_trusted("/tmp/f").error().message, Not(HasSubstr("chmod")));
  ASSERT_EQ(::chown(sub.c_str(), 0, 0), 0);
  EXPECT_THAT(require_trusted(sub + "/none").error().message, HasSubstr("No such file"));
  EXPECT_THAT(require_trusted("f").error().message, HasSubstr("not an absolute path"));
}

TEST_F(TrustedPath, OpensWhatItHasLookedAt) {
  std::filesystem::create_symlink("../sub/./f", folder_ + "/sub/link");
  const auto opened = open_trusted_path(folder_ + "/sub/../sub/link");
  ASSERT_TRUE(opened) << opened.error().message;
  std::filesystem::rename(folder_ + "/sub/f", folder_ + "/moved");
  std::ofstream{folder_ + "/sub/f"} << "another";

  struct stat now {};
  struct stat moved {};
  ASSERT_EQ(::fstat(opened->value(), &now), 0);
  ASSERT_EQ(::stat((folder_ + "/moved").c_str(), &moved), 0);

  EXPECT_EQ(now.st_ino, moved.st_ino);
  EXPECT_EQ(*read_trusted_file(folder_ + "/moved", 100), "x");
  EXPECT_THAT(read_trusted_file(folder_ + "/sub", 100).error().message, HasSubstr("regular file"));
}

TEST_F(TrustedPath, DoesNotFollowLinksWithoutAnEnd) {
  std::filesystem::create_symlink(folder_ + "/sub/b", folder_ + "/sub/a");
  std::filesystem::create_symlink("a", folder_ + "/sub/b");

  EXPECT_EQ(require_trusted(folder_ + "/sub/a").error().os_errno, ELOOP);
}

TEST_F(TrustedPath, LooksAtWhereALinkIs) {
  std::filesystem::create_directory(folder_ + "/open");
  std::filesystem::permissions(folder_ + "/open", std::filesystem::perms{0777});
  std::filesystem::create_symlink(folder_ + "/sub", folder_ + "/open/link");

  // Who can write there could turn it after it was followed.
  EXPECT_THAT(require_trusted(folder_ + "/open/link/f").error().message,
              HasSubstr("/open (mode 0777) is writable"));
}

TEST_F(TrustedPath, LooksAtWhereALinkLeads) {
  std::filesystem::create_directory(folder_ + "/open");
  std::filesystem::permissions(folder_ + "/open", std::filesystem::perms{0777});
  std::ofstream{folder_ + "/open/f"} << "x";
  std::filesystem::create_symlink(folder_ + "/open/f", folder_ + "/sub/link");

  EXPECT_THAT(require_trusted(folder_ + "/sub/link").error().message,
              HasSubstr("/open (mode 0777) is writable"));
}

std::string script(const TemporaryFolder& folder, const std::string& body) {
  const auto path = folder / "script";
  std::ofstream{path} << "#!/bin/sh\n" + body;
  std::filesystem::permissions(path, std::filesystem::perms{0755});
  return path;
}

TEST(Subprocess, GivesTheExitStatusAndTheOutput) {
  const TemporaryFolder folder;

  const auto outcome = run({.argv = {script(folder, "echo $A; exit 3")},
                            .environment = {"A=b"},
                            .output_file = folder / "out"});

  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->kind, Outcome::Kind::exited);
  EXPECT_EQ(outcome->code, 3);
  EXPECT_EQ(*read_file(folder / "out"), "b\n");
}

TEST(Subprocess, ReportsAProgramThatCannotBeStarted) {
  const auto outcome = run({.argv = {"/no/such/program"}, .environment = {}});

  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().os_errno, ENOENT);
  EXPECT_THAT(outcome.error().message, HasSubstr("run /no/such/program"));
  EXPECT_THAT(run({.argv = {"sh"}, .environment = {}}).error().message, HasSubstr("absolute path"));
}

TEST(Subprocess, DoesNotWaitForADaemonThatKeepsItsOutputOpen) {
  const TemporaryFolder folder;
  const auto begun = std::chrono::steady_clock::now();

  const auto outcome =
      run({.argv = {script(folder, "setsid sleep 30 & echo $! >" + (folder / "pid"))},
           .environment = {"PATH=/usr/bin:/bin"},
           .output_file = folder / "out"});

  ASSERT_TRUE(outcome);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 20s);
  ::kill(std::stoi(*read_file(folder / "pid")), SIGKILL);
}

TEST(Subprocess, KillsTheGroupAtTheTimeoutAndAtTheEnd) {
  const TemporaryFolder folder;
  const auto late =
      run({.argv = {script(folder, "sleep 30 & echo $! >" + (folder / "pid") + "; wait")},
           .environment = {"PATH=/usr/bin:/bin"},
           .timeout = 2s});
  ASSERT_TRUE(late);
  EXPECT_EQ(late->kind, Outcome::Kind::timed_out);
  const auto left = std::stoi(*read_file(folder / "pid"));
  for (int i = 0; i < 100 && ::kill(left, 0) == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(left) + "/exe") &&
               ::kill(left, 0) == 0 &&
               std::filesystem::exists("/proc/" + std::to_string(left) + "/cwd/."));
}

TEST(Subprocess, SparesADaemonThatHasNotLeftTheGroupYet) {
  const TemporaryFolder folder;
  const auto outcome =
      run({.argv = {script(folder, "(sleep 0.2; echo lives >" + (folder / "daemon") + ") &")},
           .environment = {"PATH=/usr/bin:/bin"},
           .leaves_daemon = true});

  ASSERT_TRUE(outcome);
  for (int i = 0; i < 100 && !read_file(folder / "daemon"); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(read_file(folder / "daemon"));
}

TEST(Subprocess, StopsWhenCancelled) {
  const TemporaryFolder folder;

  const auto outcome = run({.argv = {script(folder, "sleep 30")},
                            .environment = {"PATH=/usr/bin:/bin"},
                            .cancelled = [] { return true; }});

  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->kind, Outcome::Kind::cancelled);
}

}  // namespace
}  // namespace cloud
