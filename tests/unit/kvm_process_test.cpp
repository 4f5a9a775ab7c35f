// SPDX-License-Identifier: Apache-2.0
//
// Which process is a machine's QEMU, and how it ends.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <functional>

#include "backends/kvm/console_socket.hpp"
#include "backends/kvm/private_file.hpp"
#include "backends/kvm/qemu_process.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud::kvm {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uid_t kEngine = 1879113725;

// A process of that uid, which does something first and says so; ends with the test.
class Child {
 public:
  Child(uid_t uid, const std::function<void()>& first, std::vector<std::string> argv = {}) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::syscall(SYS_setresuid, uid, uid, uid) != 0) ::_exit(1);
      first();
      [[maybe_unused]] const auto told = ::write(ends[1], "x", 1);
      if (argv.empty()) {
        for (;;) ::pause();
      }
      std::vector<char*> words;
      for (auto& word : argv) words.push_back(word.data());
      words.push_back(nullptr);
      ::execv("/bin/sh", words.data());
      ::_exit(1);
    }
    ::close(ends[1]);
    char said = 0;
    began_ = ::read(ends[0], &said, 1) == 1;
    // Closed when it is the other program.
    if (!argv.empty()) began_ = began_ && ::read(ends[0], &said, 1) == 0;
    ::close(ends[0]);
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool began() const { return began_; }

 private:
  pid_t pid_ = -1;
  bool began_ = false;
};

class QemuProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  }
  // As libvirtd does: the socket is root's, and handed to who listens on it.
  int make_socket() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd, 1), 0);
    return fd;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "console.sock";
};

TEST_F(QemuProcess, IsWhoListensAtTheConsole) {
  const sdk::Descriptor socket{make_socket()};
  const Child qemu{kEngine, [&] { ::listen(socket.value(), 1); }};
  ASSERT_TRUE(qemu.began());

  const auto console = connect_console(path_);
  const auto found = process_behind(console, kEngine);

  EXPECT_EQ(found.pid, qemu.pid());
  EXPECT_FALSE(sdk::is_over(found));
}

TEST_F(QemuProcess, IsNoneThatRunsAsSomebodyElse) {
  const sdk::Descriptor socket{make_socket()};
  const auto refusal = [&] {
    try {
      (void)process_behind(connect_console(path_), kEngine);
    } catch (const sdk::Failure& failure) {
      return std::string{failure.what()};
    }
    return std::string{"taken"};
  };
  EXPECT_THAT(refusal(), HasSubstr("process " + std::to_string(::getpid()) + ", which does not"))
      << "as libvirtd itself, where QEMU has not begun to listen";
  const Child other{31001, [&] { ::listen(socket.value(), 1); }};
  ASSERT_TRUE(other.began());
  EXPECT_THAT(refusal(), HasSubstr("does not run as uid"));
}

TEST_F(QemuProcess, IsFoundByItsIdAndItsNameTogether) {
  const auto looks_like = [](const std::string& machine) {
    return std::vector<std::string>{"sh",   "-c",    "kill -STOP $$",
                                    "qemu", "-name", "guest=" + machine + ",debug-threads=on"};
  };
  const Child qemu{kEngine, [] {}, looks_like("sc-n1-1")};
  const Child same_user{kEngine, [] {}, looks_like("sc-n1-11")};
  const Child decoy{31001, [] {}, looks_like("sc-n1-1")};
  ASSERT_TRUE(qemu.began() && same_user.began() && decoy.began());

  const auto found = processes_of(kEngine, "sc-n1-1");

  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().pid, qemu.pid());
  EXPECT_THAT(processes_of(kEngine, "sc-n1-999999999"), IsEmpty());
}

TEST_F(QemuProcess, EndsWithAllOthersAtOnce) {
  const Child first{kEngine, [] {}};
  const Child second{kEngine, [] {}};
  ASSERT_TRUE(first.began() && second.began());
  std::vector<sdk::Process> both;
  for (const auto pid : {first.pid(), second.pid()}) {
    both.push_back({pid, sdk::Descriptor{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))}});
  }
  EXPECT_EQ(end_processes(both, sdk::Deadline{sdk::Deadline::now() + 20'000'000'000}), 0);
  for (const auto& process : both) EXPECT_TRUE(sdk::is_over(process));
  EXPECT_EQ(end_processes({}, sdk::Deadline{0}), 0);
}

TEST(PrivateFile, IsRootsAloneWhateverTheUmask) {
  const TemporaryFolder folder;
  const auto path = folder / "file";
  std::ofstream{path} << "of somebody's";
  ::chmod(path.c_str(), 0666);
  const auto before = ::umask(0);
  write_private_file(path, "text\n");
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  std::string line;
  std::getline(std::ifstream{path}, line);
  EXPECT_EQ(line, "text");
}

}  // namespace
}  // namespace cloud::kvm
