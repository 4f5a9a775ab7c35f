// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/init_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/bounded_call.hpp>

namespace cloud::lxc {
namespace {

constexpr std::int64_t kKillSeconds = 3;

pid_t child_of(pid_t parent) {
  const auto process = std::to_string(parent);
  std::ifstream file{"/proc/" + process + "/task/" + process + "/children"};
  pid_t child = 0;
  file >> child;
  return child;
}

}  // namespace

sdk::Process find_init(const std::string& cgroup) {
  if (cgroup.empty()) return {};
  for (const auto monitor : sdk::processes_of(cgroup + "/monitor")) {
    const auto child = child_of(monitor);
    if (child == 0) continue;
    auto init = sdk::open_process(child, [&](pid_t pid) { return child_of(monitor) == pid; });
    // It may have ended, and its monitor not have waited for it yet.
    if (!sdk::is_over(init)) return init;
  }
  return {};
}

void end_machine(const std::string& name, const std::string& cgroup, const sdk::Host& host,
                 sdk::Deadline most) {
  if (cgroup.empty()) return;
  const auto deadline = sdk::in_seconds(kKillSeconds, most);
  const auto init = find_init(cgroup);
  if (!sdk::end_process(init, SIGKILL, deadline, host)) {
    throw sdk::Failure{CLOUD_E_NODE, "the init, process " + std::to_string(init.pid) +
                                         ", of machine '" + name + "' does not die"};
  }
  // A child that the monitor has made by now dies with it.
  for (const auto* group : {"", "/monitor"}) sdk::kill_processes(cgroup + group, deadline, host);
}

namespace {

constexpr int kNone = 255;

int exit_status_of(pid_t pid) {
  int status = 0;
  uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  return WIFEXITED(status) ? WEXITSTATUS(status) : kNone;
}

// JUSTIFICATION: only a child of the process that has joined a pid namespace is in it, and the
// machine's root may kill that child before it executes anything and take what it has open then:
// nothing of ours is.
[[noreturn]] void run_inside(int init, const std::vector<char*>& words) {
  constexpr int kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                              CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) ::_exit(kNone);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  if (init != 3) ::dup2(init, 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  // The session's keyring is root's.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS) {
    ::_exit(kNone);
  }
  if (::setns(3, kNamespaces) != 0 || ::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 ||
      ::setresuid(0, 0, 0) != 0) {
    ::_exit(kNone);
  }
  ::close(3);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const pid_t pid = ::fork();
  if (pid < 0) ::_exit(kNone);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvpe(words.front(), words.data(), environment);
    ::_exit(kNone);
  }
  ::_exit(exit_status_of(pid));
}

}  // namespace

int run_in_machine(const sdk::Process& init, std::vector<std::string> argv) {
  std::vector<char*> words;
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return kNone;
  if (pid == 0) run_inside(init.pidfd.value(), words);
  return exit_status_of(pid);
}

}  // namespace cloud::lxc
