// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/virtiofs_server.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>

namespace cloud::kvm {
namespace {

using sdk::Descriptor;
using sdk::Failure;
using sdk::system_failure;

constexpr int kListener = 3;  ///< the number that virtiofsd finds its socket at

Descriptor listen_for_qemu(const std::string& path, const cloud_user& user) {
  const auto slash = path.rfind('/');
  const Descriptor folder{::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  Descriptor listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto name = "/proc/self/fd/" + std::to_string(folder.value()) + path.substr(slash);
  if (!folder || !listener || name.size() >= sizeof address.sun_path) {
    throw system_failure(CLOUD_E_NODE, "make the socket " + path, errno);
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  ::unlink(path.c_str());
  if (::bind(listener.value(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::chown(path.c_str(), user.uid, user.gid) != 0 ||
      ::listen(listener.value(), 1) != 0) {
    throw system_failure(CLOUD_E_NODE, "make the socket " + path, errno);
  }
  return listener;
}

// A view of the folder without set-uid bits and devices, and read-only where asked: it is mounted
// in the keeper's own mount namespace, which nobody else sees.
void mount_view(const VirtiofsOrder& order, const std::string& at) {
  const auto what = "share " + order.socket;
  if (::mkdir(at.c_str(), 0755) != 0 && errno != EEXIST)
    throw system_failure(CLOUD_E_NODE, what, errno);
  const Descriptor tree{static_cast<int>(
      ::syscall(SYS_open_tree, order.folder, "",
                AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (!tree) throw system_failure(CLOUD_E_NODE, what, errno);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (order.read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, tree.value(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                sizeof attributes) != 0 ||
      ::syscall(SYS_move_mount, tree.value(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
          0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
}

struct ServerFiles {
  int listener, log, user_namespace;
};

// JUSTIFICATION: virtiofsd shall have no right that the user has not. As root of a user namespace
// where only the user's own ids are real, it may act as the user and as nobody else.
[[noreturn]] void become_server(const char* const* argv, const ServerFiles& files) {
  ::prctl(PR_SET_PDEATHSIG, 0);
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  const bool placed =
      ::dup2(null, 0) >= 0 && ::dup2(files.log, 1) >= 0 && ::dup2(files.log, 2) >= 0;
  const bool inside = placed && ::setns(files.user_namespace, CLONE_NEWUSER) == 0 &&
                      ::syscall(SYS_setgroups, 0, nullptr) == 0 &&
                      ::syscall(SYS_setresgid, 0, 0, 0) == 0 &&
                      ::syscall(SYS_setresuid, 0, 0, 0) == 0;
  if (!inside) ::_exit(126);
  ::dup2(files.listener, kListener);
  ::syscall(SYS_close_range, static_cast<unsigned>(kListener + 1), ~0U, 0U);
  char* const environment[] = {nullptr};
  ::execve(argv[0], const_cast<char* const*>(argv), environment);
  ::_exit(127);
}

}  // namespace

pid_t start_virtiofs_server(const VirtiofsOrder& order, const cloud_user& user,
                            const sdk::UserNamespace& user_namespace) {
  struct stat status {};
  if (::fstat(order.folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
    throw Failure{CLOUD_E_REQUEST, "a virtual machine can mount folders only, and no single files"};
  }
  const auto listener = listen_for_qemu(order.socket, user);
  const auto view = order.socket + ".view";
  mount_view(order, view);
  const Descriptor log{
      ::open(order.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!log) throw system_failure(CLOUD_E_NODE, "open " + order.log, errno);
  // Above the number that it is moved to.
  const Descriptor high{::fcntl(listener.value(), F_DUPFD_CLOEXEC, 16)};
  const auto source = "source=" + view;
  const char* const argv[] = {order.program.c_str(),
                              "--fd=3",
                              "-o",
                              source.c_str(),
                              "-o",
                              "sandbox=namespace",
                              "-o",
                              "cache=auto",
                              "-o",
                              "log_level=warn",
                              nullptr};
  const pid_t pid = ::fork();
  if (pid < 0) throw system_failure(CLOUD_E_NODE, "fork for " + order.program, errno);
  if (pid == 0) {
    become_server(argv, {high.value(), log.value(), user_namespace.fd()});
  }
  return pid;
}

void VirtiofsServers::end(const std::string& machine) noexcept {
  for (const auto& [owner, pid] : servers_) {
    if (owner != machine) continue;
    // Our children: the number is theirs until they are waited for.
    ::kill(pid, SIGKILL);
    uninterrupted([&] { return ::waitpid(pid, nullptr, 0); });
  }
  servers_.erase(std::remove_if(servers_.begin(), servers_.end(),
                                [&](const auto& server) { return server.first == machine; }),
                 servers_.end());
}

}  // namespace cloud::kvm
