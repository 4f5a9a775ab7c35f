// SPDX-License-Identifier: Apache-2.0
#ifndef SPANK_CLOUD_USER_NAMESPACE_HPP
#define SPANK_CLOUD_USER_NAMESPACE_HPP

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/id_map.hpp>
#include <string>
#include <vector>

namespace cloud {
namespace sdk {

/// A machine's user namespace. It belongs to namespace_owner(), which nobody can log in as: the
/// owner of a user namespace may enter it, trace its processes and take their descriptors, so that
/// one which belongs to the job's user makes that user root of the node while root is still at work
/// in it. Tasks are let in by the engine, which is root. A process holds the namespace open until
/// the machine has been started in it.
class UserNamespace {
 public:
  /// What the kernel lets run, whoever of the machine's 65536 users it is of, tasks included: it
  /// counts by the owner, so that all machines of one user on the node have it together.
  static constexpr std::uint64_t kProcessesOfUser = 16384;

  /// `processes_max`: 0 for no limit.
  UserNamespace(std::uint32_t subid_first, const std::vector<IdRange>& uids,
                const std::vector<IdRange>& gids, std::uint64_t processes_max = kProcessesOfUser);
  /// As it was until the end of 2026: owned by the job's user, which the engine refuses now.
  UserNamespace(const cloud_user&, const std::vector<IdRange>&,
                const std::vector<IdRange>&) = delete;
  /// Of the machine's usual maps: its own range of ids, and the user's ids each to itself.
  explicit UserNamespace(const cloud_machine_spec& spec)
      : UserNamespace{spec.subid_first, make_id_map({spec.user->uid}, spec.subid_first),
                      make_id_map(gids_of(*spec.user), spec.subid_first)} {}
  ~UserNamespace();
  UserNamespace(const UserNamespace&) = delete;
  UserNamespace& operator=(const UserNamespace&) = delete;

  /// "/proc/PID/ns/user"
  [[nodiscard]] std::string path() const;
  [[nodiscard]] int fd() const noexcept { return fd_.value(); }

 private:
  static std::vector<std::uint32_t> gids_of(const cloud_user& user) {
    std::vector<std::uint32_t> gids{user.gid};
    gids.insert(gids.end(), user.groups, user.groups + user.group_count);
    return gids;
  }

  pid_t holder_ = -1;
  Descriptor fd_;
};

namespace detail {

constexpr int kNamespaceAnswerMs = 5000;

inline void write_id_map(pid_t pid, const char* which, const std::vector<IdRange>& map) {
  const auto path = "/proc/" + std::to_string(pid) + "/" + which;
  const auto text = proc_text(map);
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file ||
      ::write(file.value(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw system_failure(CLOUD_E_NODE, "write " + path, errno);
  }
}

// JUSTIFICATION: a namespace is owned by the effective uid of the process that makes it, so it
// takes a process of that uid; it execs nothing, because it ends before start() returns. Raw system
// calls: glibc's wrappers would change the ids of all threads of the caller's copy.
[[noreturn]] inline void hold_user_namespace(std::uint32_t owner, std::uint64_t processes_max,
                                             int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int problem = 0;
  // The namespace keeps the limits of its maker for all that is ever in it.
  const rlim_t most = processes_max == 0 ? RLIM_INFINITY : processes_max;
  const rlimit processes{most, most};
  ::setrlimit(RLIMIT_NPROC, &processes);
  if (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
      ::syscall(SYS_setresgid, owner, owner, owner) != 0 ||
      ::syscall(SYS_setresuid, owner, owner, owner) != 0 || ::unshare(CLONE_NEWUSER) != 0) {
    problem = errno;
  }
  // The change of ids has cleared it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (ready != 3) ::dup2(ready, 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  [[maybe_unused]] const auto written = ::write(3, &problem, sizeof problem);
  for (;;) ::pause();
}

}  // namespace detail

inline UserNamespace::UserNamespace(std::uint32_t subid_first, const std::vector<IdRange>& uids,
                                    const std::vector<IdRange>& gids, std::uint64_t processes_max) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw system_failure(CLOUD_E_NODE, "make a pipe", errno);
  const Descriptor read_end{ends[0]};
  Descriptor write_end{ends[1]};
  holder_ = ::fork();
  if (holder_ < 0) throw system_failure(CLOUD_E_NODE, "fork", errno);
  if (holder_ == 0) {
    detail::hold_user_namespace(namespace_owner(subid_first), processes_max, write_end.value());
  }
  { const Descriptor closed{std::move(write_end)}; }
  int problem = EIO;
  // Nobody but root can stop the holder; a node without memory can.
  const std::chrono::milliseconds limit{detail::kNamespaceAnswerMs};
  if (!is_ready_within(read_end.value(), POLLIN, limit)) {
    problem = ETIMEDOUT;
  } else if (uninterrupted([&] { return ::read(read_end.value(), &problem, sizeof problem); }) !=
             static_cast<ssize_t>(sizeof problem)) {
    problem = EIO;
  }
  try {
    if (problem != 0) {
      throw system_failure(CLOUD_E_NODE,
                           "make a user namespace (is /proc/sys/user/max_user_namespaces 0?)",
                           problem);
    }
    detail::write_id_map(holder_, "uid_map", uids);
    detail::write_id_map(holder_, "gid_map", gids);
    fd_ = Descriptor{::open(path().c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd_) throw system_failure(CLOUD_E_NODE, "open " + path(), errno);
  } catch (...) {
    ::kill(holder_, SIGKILL);
    uninterrupted([&] { return ::waitpid(holder_, nullptr, 0); });
    throw;
  }
}

inline UserNamespace::~UserNamespace() {
  ::kill(holder_, SIGKILL);
  uninterrupted([&] { return ::waitpid(holder_, nullptr, 0); });
}

inline std::string UserNamespace::path() const {
  return "/proc/" + std::to_string(holder_) + "/ns/user";
}

}  // namespace sdk
}  // namespace cloud

#endif
