// SPDX-License-Identifier: Apache-2.0
#include "enter/machine_join.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

// "INSIDE OUTSIDE COUNT" of /proc/PID/uid_map.
bool maps_to_itself(std::int64_t pid, uid_t uid) {
  std::ifstream map{"/proc/" + std::to_string(pid) + "/uid_map"};
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  while (map >> inside >> outside >> count) {
    if (uid >= inside && uid - inside < count) return outside + (uid - inside) == uid;
  }
  return false;
}

// Whether the user owns the process's user namespace, or one that it lies in.
bool is_owned_by(std::int64_t pid, uid_t uid) {
  const auto path = "/proc/" + std::to_string(pid) + "/ns/user";
  UniqueFd space{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  while (space) {
    uid_t owner = uid;
    if (::ioctl(space.value(), NS_GET_OWNER_UID, &owner) != 0 || owner == uid) return true;
    space.reset(::ioctl(space.value(), NS_GET_PARENT));
  }
  return false;
}

Result<void> require_machine(const PublishedState& state) {
  if (maps_to_itself(state.init_pid, state.uid) && !is_owned_by(state.init_pid, state.uid)) {
    return {};
  }
  return Error{Blame::site,
               "the machine's user namespace is its user's, or does not have the user's uid: the "
               "backend of type " +
                   state.type + " has made it otherwise than the SDK does"};
}

}  // namespace

Result<void> join_machine(const PublishedState& state) {
  const UniqueFd init{
      static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(state.init_pid), 0))};
  // Compared after the descriptor is open: it cannot come to mean another process.
  if (!init || process_start_time(state.init_pid) != state.init_start_time) {
    return Error{Blame::node, "the machine has ended"};
  }
  if (auto good = require_machine(state); !good) return good;
  // What runs in the machine may trace what it sees there, and until we are the user's we are root.
  ::prctl(PR_SET_DUMPABLE, 0);
  constexpr int kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                              CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (::setns(init.value(), kNamespaces) != 0) {
    return os_error(Blame::node, "enter the machine (the kernel needs to be Linux 5.12 or newer)",
                    errno);
  }
  // Where a site lets processes that have changed their ids be dumped, setns(2) has undone it.
  ::prctl(PR_SET_DUMPABLE, 0);
  return {};
}

Result<void> leave_keyring() {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS) {
    return os_error(Blame::node, "leave root's keyring", errno);
  }
  return {};
}

Result<void> take_groups(const TaskIdentity& identity) {
  if (::setgroups(identity.groups.size(), identity.groups.data()) != 0 ||
      ::setresgid(identity.gid, identity.gid, identity.gid) != 0) {
    return os_error(Blame::node, "take the task's groups", errno);
  }
  return {};
}

Result<void> drop_to(const TaskIdentity& identity) {
  if (identity.uid == 0) return Error{Blame::internal, "a task of root's in a machine"};
  constexpr auto kAsItIs = static_cast<uid_t>(-1);
  const auto fail = [&] {
    return os_error(Blame::node,
                    "become the job's user in the machine (its user namespace has no map for uid " +
                        std::to_string(identity.uid) + ")",
                    errno);
  };
  // The effective id first: where a site lets processes that have changed their ids be dumped, the
  // kernel makes us traceable now, and the other two, which say by whom, are still root's.
  if (::setresuid(kAsItIs, identity.uid, kAsItIs) != 0) return fail();
  ::prctl(PR_SET_DUMPABLE, 0);
  // The uid that we had is nobody's in the machine, so the kernel has not taken them with it.
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) {
    return os_error(Blame::node, "give up capabilities", errno);
  }
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return fail();
  return {};
}

}  // namespace cloud
