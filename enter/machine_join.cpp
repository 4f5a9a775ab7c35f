// SPDX-License-Identifier: Apache-2.0
#include "enter/machine_join.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/system/unique_fd.hpp"

namespace cloud {

Result<void> join_machine(const PublishedState& state) {
  const UniqueFd init{
      static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(state.init_pid), 0))};
  // Compared after the descriptor is open: it cannot come to mean another process.
  if (!init || process_start_time(state.init_pid) != state.init_start_time) {
    return Error{Blame::node, "the machine has ended"};
  }
  // What runs in the machine may trace what it sees there, and until we are the user's we are root.
  ::prctl(PR_SET_DUMPABLE, 0);
  constexpr int kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                              CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (::setns(init.value(), kNamespaces) != 0) {
    return os_error(Blame::node, "enter the machine (the kernel needs to be Linux 5.12 or newer)",
                    errno);
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
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) {
    return os_error(Blame::node,
                    "become the job's user in the machine (its user namespace has no map for uid " +
                        std::to_string(identity.uid) + ")",
                    errno);
  }
  // The step's is root's, and would stay open to who possesses it; this one is the user's own.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS) {
    return os_error(Blame::node, "leave root's keyring", errno);
  }
  // The uid that we had is nobody's in the machine, so the kernel has not taken them with it.
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) {
    return os_error(Blame::node, "give up capabilities", errno);
  }
  ::prctl(PR_SET_DUMPABLE, 0);
  return {};
}

}  // namespace cloud
