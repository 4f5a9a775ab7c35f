// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/worker.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>
#include <utility>

#include "core/job/cgroup.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/system/write_all.hpp"
#include "tools/backend_check/stage.hpp"
#include "tools/backend_check/verdict.hpp"

namespace cloud {
namespace {

Result<void> take_role(Role role, const std::string& cgroup) {
  if (role == Role::hook) return {};
  const auto own = keeper_cgroup(cgroup);
  if (auto made = create_cgroup(own); !made) return made;
  if (auto placed = enter_cgroup(own, ::getpid()); !placed) return placed;
  // JUSTIFICATION: as the keeper does it: what is mounted for the machine is seen by it alone.
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return os_error(Blame::node, "make a private mount namespace", errno);
  }
  return {};
}

[[noreturn]] void work(Role role, const std::string& cgroup, const Worker::Body& body, int to,
                       pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // 0 where the parent is in a machine's process namespace and we are the first below it.
  if (::getppid() != parent && ::getppid() != 0) ::_exit(1);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
  const UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  ::dup2(null.value(), STDIN_FILENO);
  // TAP is on stdout, and a backend that prints shall not forge it.
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  std::string answer;
  if (auto taken = take_role(role, cgroup); !taken) {
    answer = "e" + taken.error().message;
  } else {
    const auto result = body();
    answer = result ? "o" + *result : "e" + result.error().message;
  }
  (void)write_all(to, answer);
  ::_exit(0);
}

std::string how_it_died(int status) {
  const auto call = Stage::instance().pending();
  const auto where = call.empty() ? std::string{} : " in " + call;
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return "the process died of signal " + std::to_string(number) + " (" + ::strsignal(number) +
           ")" + where;
  }
  return "the process ended with exit status " + std::to_string(WEXITSTATUS(status)) + where;
}

}  // namespace

Result<Worker> Worker::start(Role role, const std::string& cgroup, const Body& body) {
  // No pipe: what a backend leaves running would keep it open.
  UniqueFd answer{::memfd_create("answer", MFD_CLOEXEC)};
  if (!answer) return os_error(Blame::node, "memfd_create", errno);
  const pid_t parent = ::getpid();
  // JUSTIFICATION: a backend may crash, hang or change its process: it gets one of its own.
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(Blame::node, "fork", errno);
  if (pid == 0) work(role, cgroup, body, answer.value(), parent);
  ::setpgid(pid, pid);
  return Worker{pid, std::move(answer)};
}

Worker::Worker(Worker&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)}, answer_{std::move(other.answer_)} {}

Worker::~Worker() {
  if (pid_ > 0) kill(true);
}

bool Worker::has_ended() const noexcept {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

Result<std::string> Worker::wait() {
  int status = 0;
  uninterrupted([&] { return ::waitpid(pid_, &status, 0); });
  pid_ = -1;
  const auto size = ::lseek(answer_.value(), 0, SEEK_END);
  std::string answer(static_cast<std::size_t>(std::max<off_t>(size, 0)), '\0');
  if (::pread(answer_.value(), answer.data(), answer.size(), 0) != size) answer.clear();
  if (answer.empty()) return wrong(how_it_died(status));
  const auto text = answer.substr(1);
  if (answer.front() == 'e') return wrong(text);
  return text;
}

void Worker::kill(bool whole_group) {
  ::kill(whole_group ? -pid_ : pid_, SIGKILL);
  uninterrupted([&] { return ::waitpid(pid_, nullptr, 0); });
  pid_ = -1;
}

Result<std::string> in_worker(Role role, const std::string& cgroup, const Worker::Body& body) {
  auto worker = Worker::start(role, cgroup, body);
  if (!worker) return std::move(worker).error();
  return worker->wait();
}

}  // namespace cloud
