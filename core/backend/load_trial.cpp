// SPDX-License-Identifier: Apache-2.0
#include "core/backend/load_trial.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <spank-cloud/base/uninterrupted.hpp>

#include "core/system/atomic_file.hpp"
#include "core/system/file_version.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

constexpr int kLimitMs = 10'000;
/// Told apart from what a constructor that calls exit() ends with.
constexpr int kSurvived = 113;
constexpr std::size_t kNoteMax = 4096;

[[noreturn]] void be_the_trial(const std::function<void()>& load, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kSurvived);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGTERM}) {
    ::signal(number, SIG_DFL);
  }
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  // What it prints it prints again when it is loaded.
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  try {
    load();
  } catch (...) {  // the caller's to find
  }
  ::_exit(kSurvived);
}

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return "crashes (" + std::string{::strsignal(WTERMSIG(status))} + ")";
  return "ends the process (exit status " + std::to_string(WEXITSTATUS(status)) + ")";
}

Result<void> run_trial(const std::string& path, const std::function<void()>& load) {
  // JUSTIFICATION: a crash can be survived by nobody but another process.
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return os_error(Blame::node, "fork", errno);
  if (child == 0) be_the_trial(load, parent);
  const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
  // Without a descriptor nothing tells when it is late.
  const bool is_late =
      pidfd && !is_ready_within(pidfd.value(), POLLIN, std::chrono::milliseconds{kLimitMs});
  if (is_late) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    // Whoever started us ignores SIGCHLD: nothing can be learnt, so it is loaded as it is.
    if (errno == ECHILD) return {};
    if (errno != EINTR) return os_error(Blame::node, "wait for a trial of " + path, errno);
  }
  const auto refuse = [&](const std::string& what) {
    return Error{Blame::site, path + ": " + what + " while it is being loaded: ask its author"};
  };
  if (is_late) return refuse("hangs");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kSurvived) return refuse(end_of(status));
  return {};
}

}  // namespace

Result<void> try_loading(const std::string& path, const std::string& notes,
                         const std::function<void()>& load) {
  static auto& tried = *new std::set<std::string>;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return os_error(Blame::site, path, errno);
  const auto version = version_of(status);
  if (tried.count(version) != 0) return {};
  const auto note = notes + "/" + path.substr(path.rfind('/') + 1);
  if (!notes.empty()) {
    const auto known = read_file(note, kNoteMax);
    if (known && *known == version + "\n") {
      tried.insert(version);
      return {};
    }
  }
  if (auto survived = run_trial(path, load); !survived) return survived;
  tried.insert(version);
  if (notes.empty() || !make_directories(notes, 0700)) return {};
  // Without it the file is tried again next time.
  (void)write_file(note, version + "\n", {.mode = 0600, .owner = {}, .durable = false});
  return {};
}

}  // namespace cloud
