// SPDX-License-Identifier: Apache-2.0
//
// What `enter` and `escort` say to each other, and what a task takes over from the process that
// Slurm made for it.
#include "enter/task_channel.hpp"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "enter/inheritance.hpp"

namespace cloud {
namespace {

constexpr std::size_t kMore = 1 << 20;

class TaskChannel : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    enter_.reset(ends[0]);
    escort_.reset(ends[1]);
  }

  // As bytes of the other side's own choice.
  void say(std::string_view bytes) const {
    ASSERT_EQ(::send(enter_.value(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }

  UniqueFd enter_, escort_;
};

std::size_t open_files() {
  const std::filesystem::directory_iterator all{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_F(TaskChannel, CarriesAFrameAsItIs) {
  const std::string bytes{"\0\xff text", 7};

  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::task, bytes));
  const auto frame = receive_frame(escort_.value(), kMore);

  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((**frame).kind, FrameKind::task);
  EXPECT_EQ((**frame).bytes, bytes);
  EXPECT_TRUE((**frame).files.empty());
}

TEST_F(TaskChannel, CarriesMoreThanASocketHolds) {
  const std::string bytes(8 << 20, 'x');
  const pid_t other = ::fork();
  if (other == 0) ::_exit(send_frame(enter_.value(), FrameKind::task, bytes) ? 0 : 1);
  enter_.reset();

  const auto frame = receive_frame(escort_.value(), bytes.size());

  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((**frame).bytes, bytes);
  int status = 1;
  ::waitpid(other, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(TaskChannel, CarriesDescriptorsThatNoProgramInherits) {
  const UniqueFd null{::open("/dev/null", O_RDONLY)};
  const std::vector<int> files(kFilesOfFrame, null.value());

  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::files, "numbers", files));
  const auto frame = receive_frame(escort_.value(), kMore);

  ASSERT_TRUE(frame && *frame);
  ASSERT_EQ((**frame).files.size(), files.size());
  for (const auto& file : (**frame).files) {
    EXPECT_EQ(::fcntl(file.value(), F_GETFD), FD_CLOEXEC);
  }
}

TEST_F(TaskChannel, EndsWithTheOtherSide) {
  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::go));
  enter_.reset();

  ASSERT_TRUE(*receive_frame(escort_.value(), 0));
  const auto end = receive_frame(escort_.value(), 0);

  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST_F(TaskChannel, RefusesALongerFrameThanItIsReadyFor) {
  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::signal, "12"));

  EXPECT_FALSE(receive_frame(escort_.value(), 1));
}

TEST_F(TaskChannel, RefusesAKindThatThereIsNot) {
  say(std::string_view{"X\0\0\0\0", 5});

  EXPECT_FALSE(receive_frame(escort_.value(), kMore));
}

TEST_F(TaskChannel, TakesAFrameThatIsCutOffForTheEnd) {
  say(std::string_view{"t\x09\0\0\0abc", 8});
  enter_.reset();

  const auto frame = receive_frame(escort_.value(), kMore);

  ASSERT_TRUE(frame);
  EXPECT_FALSE(*frame);
}

TEST_F(TaskChannel, TellsRootNothingButGo) {
  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::go));
  EXPECT_TRUE(receive_go(escort_.value()));

  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::task, "cat /etc/shadow"));
  EXPECT_FALSE(receive_go(escort_.value()));
}

TEST_F(TaskChannel, GivesRootNoDescriptor) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_TRUE(send_frame(enter_.value(), FrameKind::go, {}, {&null, 1}));
  ::close(null);
  const auto before = open_files();

  EXPECT_TRUE(receive_go(escort_.value()));

  EXPECT_EQ(open_files(), before);
}

TEST(FrameNumber, HasFourBytesTheLeastFirst) {
  EXPECT_EQ(to_bytes(0x01020304), "\x04\x03\x02\x01");
  EXPECT_EQ(number_at(to_bytes(0xfffffffe)), 0xfffffffe);
  EXPECT_EQ(number_at("\x01", 0), 0U);
  EXPECT_EQ(number_at(to_bytes(7) + to_bytes(9), 4), 9U);
}

// A process whose attributes are those that `set` gives it.
template <typename Set>
class Other {
 public:
  explicit Other(Set&& set) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      set();
      [[maybe_unused]] const auto written = ::write(ends[1], "x", 1);
      for (;;) ::pause();
    }
    char ready = 0;
    [[maybe_unused]] const auto count = ::read(ends[0], &ready, 1);
    for (const int end : ends) ::close(end);
  }
  ~Other() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

TEST(TaskInheritance, IsWhatTheProcessHas) {
  const Other other{[] {
    const rlimit files{33, 44};
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::setpriority(PRIO_PROCESS, 0, 7);
    ::signal(SIGUSR2, SIG_IGN);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  }};

  const auto found = inheritance_of(other.pid(), ::getuid());

  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->identity.uid, ::getuid());
  EXPECT_EQ(found->identity.gid, ::getgid());
  EXPECT_EQ(found->limits[RLIMIT_NOFILE].rlim_cur, 33U);
  EXPECT_EQ(found->limits[RLIMIT_NOFILE].rlim_max, 44U);
  EXPECT_EQ(found->nice, 7);
  EXPECT_TRUE(found->no_new_privileges);
  EXPECT_NE(found->ignored_signals & 1ULL << (SIGUSR2 - 1), 0U);
  EXPECT_EQ(found->ignored_signals & 1ULL << (SIGTERM - 1), 0U);
  EXPECT_FALSE(found->cpus.empty());
}

TEST(TaskInheritance, IsNotThatOfAnotherUser) {
  const auto found = inheritance_of(::getpid(), ::getuid() + 1);

  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().blame, Blame::user);
}

TEST(TaskInheritance, IsNotThatOfAProgramWithRootsRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  // What a set-uid program of root's has, started by user 31001.
  const Other other{[] {
    if (::setresuid(31001, 0, 0) != 0) ::_exit(1);
  }};

  EXPECT_FALSE(inheritance_of(other.pid(), 31001));
}

TEST(TaskInheritance, HasNoGroupOfASetGidProgram) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  const Other other{[] {
    const bool done = ::setgroups(0, nullptr) == 0 && ::setresgid(31002, 42, 42) == 0 &&
                      ::setresuid(31001, 31001, 31001) == 0;
    if (!done) ::_exit(1);
  }};

  const auto found = inheritance_of(other.pid(), 31001);

  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->identity.gid, 31002U);
  EXPECT_TRUE(found->identity.groups.empty());
}

}  // namespace
}  // namespace cloud
