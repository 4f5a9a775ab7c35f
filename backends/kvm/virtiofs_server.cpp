// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/virtiofs_server.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <poll.h>
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
#include <chrono>
#include <cstring>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>

namespace cloud::kvm {
namespace {

using sdk::Descriptor;
using sdk::Failure;
using sdk::system_failure;

constexpr int kListener = 3;  ///< the number that virtiofsd finds its socket at

Descriptor listen_for_qemu(const std::string& path, uid_t qemu) {
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
      ::chmod(path.c_str(), 0600) != 0 || ::chown(path.c_str(), qemu, qemu) != 0 ||
      ::listen(listener.value(), 1) != 0) {
    throw system_failure(CLOUD_E_NODE, "make the socket " + path, errno);
  }
  return listener;
}

// A copy of the folder's mounts without set-uid bits and devices, and read-only where asked.
// Private: what the node mounts below it later does not come into it, where it would be writable
// and with set-uid bits, and none of its mounts counts against the node's.
Descriptor view_of(const VirtiofsOrder& order) {
  const auto what = "share " + order.socket;
  constexpr unsigned kAll = AT_EMPTY_PATH | AT_RECURSIVE;
  Descriptor tree{static_cast<int>(
      ::syscall(SYS_open_tree, order.folder, "", kAll | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (!tree) throw system_failure(CLOUD_E_NODE, what, errno);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (order.read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  attributes.propagation = MS_PRIVATE;
  if (::syscall(SYS_mount_setattr, tree.value(), "", kAll, &attributes, sizeof attributes) != 0) {
    throw system_failure(CLOUD_E_NODE, what, errno);
  }
  return tree;
}

// In the keeper's own mount namespace, which nobody else sees.
void mount_view(const Descriptor& tree, const std::string& at) {
  if (::mkdir(at.c_str(), 0700) != 0 && errno != EEXIST) {
    throw system_failure(CLOUD_E_NODE, "make " + at, errno);
  }
  if (::syscall(SYS_move_mount, tree.value(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
      0) {
    throw system_failure(CLOUD_E_NODE, "mount " + at, errno);
  }
}

// What virtiofsd says: the first of it stays in the pipe until somebody asks, the rest is lost. No
// file of root's is open in it, and it waits for nobody.
struct Words {
  Descriptor read_end, write_end;
};

Words make_words() {
  constexpr int kKept = 4096;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw system_failure(CLOUD_E_NODE, "make a pipe", errno);
  }
  ::fcntl(ends[1], F_SETPIPE_SZ, kKept);
  return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

struct ServerFiles {
  int listener, words, user_namespace;
};

// JUSTIFICATION: virtiofsd shall have no right that the user has not. As root of a user namespace
// where only the user's own ids are real, it may act as the user and as nobody else. It does so for
// each request with the effective ids of a thread; its real and saved ones stay those of the
// namespace's root, so that the user cannot trace it, nor signal it but with a set-uid program that
// root of their guest has left in a shared folder (F3 in SECURITY.md): that costs their own job.
[[noreturn]] void become_server(const char* const* argv, const ServerFiles& files) {
  ::prctl(PR_SET_PDEATHSIG, 0);
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
  // Who listened to its words may have gone.
  ::signal(SIGPIPE, SIG_IGN);
  const int null = ::open("/dev/null", O_RDONLY);
  const bool placed =
      ::dup2(null, 0) >= 0 && ::dup2(files.words, 1) >= 0 && ::dup2(files.words, 2) >= 0;
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

pid_t start_server(const VirtiofsOrder& order, const Descriptor& tree, const Words& words,
                   uid_t qemu, const sdk::UserNamespace& user_namespace) {
  const auto listener = listen_for_qemu(order.socket, qemu);
  const auto view = order.socket + ".view";
  mount_view(tree, view);
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
    become_server(argv, {high.value(), words.write_end.value(), user_namespace.fd()});
  }
  return pid;
}

}  // namespace

void VirtiofsServers::start(const std::string& machine, const std::vector<VirtiofsOrder>& orders,
                            uid_t qemu, const sdk::UserNamespace& user_namespace,
                            const std::function<void(pid_t)>& place) {
  // All before any is mounted: one may contain the place where another will be.
  std::vector<Descriptor> trees;
  for (const auto& order : orders) {
    struct stat status {};
    if (::fstat(order.folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
      throw Failure{CLOUD_E_REQUEST,
                    "a virtual machine can mount folders only, and no single files"};
    }
    trees.push_back(view_of(order));
  }
  for (std::size_t i = 0; i < orders.size(); ++i) {
    auto words = make_words();
    const auto pid = start_server(orders[i], trees[i], words, qemu, user_namespace);
    servers_.push_back({machine, pid, std::move(words.read_end)});
    place(pid);
  }
}

std::string VirtiofsServers::last_words(const std::string& machine) const {
  for (const auto& server : servers_) {
    if (server.machine != machine) continue;
    std::array<char, 4096> buffer{};
    const auto count = ::read(server.words.value(), buffer.data(), buffer.size());
    std::string text{buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
    while (!text.empty() && text.back() == '\n') text.pop_back();
    if (!text.empty()) return text.substr(text.rfind('\n') + 1);
  }
  return {};
}

pid_t VirtiofsServers::end(const std::string& machine, sdk::Deadline deadline) noexcept {
  const auto is_its = [&](const Server& server) { return server.machine == machine; };
  // Our children: the number is theirs until they are waited for.
  for (const auto& server : servers_) {
    if (is_its(server)) ::kill(server.pid, SIGKILL);
  }
  pid_t stays = 0;
  for (const auto& server : servers_) {
    if (!is_its(server)) continue;
    const Descriptor process{static_cast<int>(::syscall(SYS_pidfd_open, server.pid, 0))};
    const std::chrono::nanoseconds left{deadline.remaining()};
    const auto limit = std::chrono::ceil<std::chrono::milliseconds>(left);
    if (process && !is_ready_within(process.value(), POLLIN, limit)) {
      // It waits for a file system that does not answer, and is left behind.
      stays = server.pid;
      continue;
    }
    uninterrupted([&] { return ::waitpid(server.pid, nullptr, 0); });
  }
  servers_.erase(std::remove_if(servers_.begin(), servers_.end(), is_its), servers_.end());
  return stays;
}

}  // namespace cloud::kvm
