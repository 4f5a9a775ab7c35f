// SPDX-License-Identifier: Apache-2.0
//
// How tasks get into a machine.
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "core/job/published_state.hpp"
#include "core/machine/boot_watch.hpp"
#include "core/machine/ssh_identity.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/subprocess.hpp"
#include "enter/machine_join.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

// In the machine, as the user: nothing of the image is needed to see where one is.
Result<std::string> look_around(const Trial& trial) {
  return in_worker(Role::hook, "", [&]() -> Result<std::string> {
    std::array<char, HOST_NAME_MAX + 1> hostname{};
    ::gethostname(hostname.data(), hostname.size() - 1);
    if (trial.spec.hostname != hostname.data()) {
      return wrong(std::string{"the hostname in the machine is '"} + hostname.data() +
                   "' and shall be '" + trial.spec.hostname + "'");
    }
    if (::getuid() != trial.spec.user.uid) {
      return wrong("the user's uid in the machine is " + std::to_string(::getuid()));
    }
    // What the machine has no map for is seen as another's.
    if (::getgid() != trial.spec.user.gid) {
      return wrong("the user's gid in the machine is " + std::to_string(::getgid()));
    }
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    ::getgroups(static_cast<int>(groups.size()), groups.data());
    for (const auto group : trial.spec.user.groups) {
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
        return wrong("the user's group " + std::to_string(group) + " is not in the machine");
      }
    }
    std::string text;
    if (std::ifstream file{Site::mounted_file()}; !std::getline(file, text)) {
      return wrong(std::string{Site::mounted_file()} +
                   " is not in the machine: its mount is missing");
    }
    if (text != trial.bench().site->mounted_text()) return wrong("the machine's mount is another");
    if (const UniqueFd file{::open(Site::mounted_file(), O_WRONLY | O_CLOEXEC)}; file) {
      return wrong(std::string{Site::mounted_file()} +
                   " can be written, and its mount is read-only");
    }
    return std::string{};
  });
}

// JUSTIFICATION: as a task; in the machine's user namespace, where the user's ids must have a map.
Result<void> become_inside(const MachineUser& user) {
  if (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
      ::setresgid(user.gid, user.gid, user.gid) != 0 ||
      ::setresuid(user.uid, user.uid, user.uid) != 0) {
    return os_error(Blame::node, "become " + user.name + " in the machine", errno);
  }
  // Joining gave all of the machine's root, and nothing but this takes them.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) {
    return os_error(Blame::node, "drop the capabilities of the machine's root", errno);
  }
  return {};
}

// Tasks enter all of them at once.
Result<void> require_own_namespaces(const std::string& pid) {
  for (const char* kind : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    std::error_code problem;
    const auto link = std::string{"/ns/"} + kind;
    const auto own = std::filesystem::read_symlink("/proc/" + pid + link, problem);
    if (!problem && own == std::filesystem::read_symlink("/proc/self" + link, problem)) {
      return wrong("the " + std::string{kind} + " namespace of process " + pid +
                   ", info()'s init_pid, is the node's, and shall be the machine's own");
    }
  }
  return {};
}

Verdict namespaces(Bench& bench) {
  if (!bench.has(CLOUD_CAP_NAMESPACES)) return Verdict::skip("no CLOUD_CAP_NAMESPACES");
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  // Who mounts this name and not the descriptor beside it mounts something else.
  trial->spec.mounts.front().source = "/nonexistent/for-messages-only";
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->bring_up(subject); !done) return std::move(done).error();
    cloud_machine_info info{};
    if (auto done = must(subject.info(trial->ref(), info)); !done) return std::move(done).error();
    if (info.init_pid <= 0) return wrong("info() gives no init_pid of a machine that runs");
    return std::to_string(info.init_pid);
  });
  if (!lived) return lived.error();
  if (auto own = require_own_namespaces(*lived); !own) return own;
  // JUSTIFICATION: as the engine does it for a task: root joins, and is the user from then on.
  const auto entered = in_worker(Role::hook, "", [&]() -> Result<std::string> {
    PublishedState state;
    state.entry = MachineEntry::namespaces;
    state.uid = trial->spec.user.uid;
    state.type = bench.target.name;
    state.init_pid = std::stol(*lived);
    state.init_start_time = process_start_time(state.init_pid);
    if (auto joined = join_machine(state); !joined) return std::move(joined).error();
    if (auto done = become_inside(trial->spec.user); !done) return std::move(done).error();
    return look_around(*trial);
  });
  if (!entered) return Error{entered.error()}.within("as " + trial->spec.user.name);
  return trial->destroy_and_look();
}

// What the machine's shell prints, through ssh(1), as the job's user runs it; 4 KiB at most.
Result<std::string> remote_output(const Trial& trial, const SshTarget& target,
                                  const std::string& command) {
  const auto& user = trial.spec.user;
  const auto ran = run({.argv = ssh_command(target, {"-T"}, command),
                        .environment = {"PATH=/usr/bin:/bin", "HOME=/"},
                        .working_directory = ssh_socket_folder(target.dir),
                        .keeps_output = true,
                        .timeout = 20s,
                        .user = Credentials{user.uid, user.gid, user.groups}});
  if (!ran) return ran.error();
  auto text = ran->output;
  while (text.ends_with('\n')) text.pop_back();
  if (ran->kind != Outcome::Kind::exited || ran->code != 0) {
    return wrong("'" + command + "' over ssh failed: " + text);
  }
  return text;
}

Verdict ssh(Bench& bench) {
  if (!bench.has(CLOUD_CAP_SSH)) return Verdict::skip("no CLOUD_CAP_SSH");
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  if (!trial->spec.network) {
    return wrong("machines with CLOUD_CAP_SSH need an address: name a pool in [backend." +
                 bench.target.name + "]");
  }
  trial->spec.mounts.front().source = "/nonexistent/for-messages-only";
  if (auto given = trial->give_keys(true); !given) return given;
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->bring_up(subject); !done) return std::move(done).error();
    return std::string{};
  });
  if (!lived) return lived.error();
  const auto& user = trial->spec.user;
  const SshTarget target{trial->ssh_dir(), trial->spec.name, user.name,
                         trial->spec.network->address};
  const BootSigns signs{[] { return false; }, [] { return Result<void>{}; },
                        [] { return std::uint64_t{1}; }, [] { return std::string{}; },
                        [](const std::string&) {}};
  const auto came_in = [&]() -> Result<void> {
    // What it needs of the node ends with it: after destroy() it would be taken for the machine's.
    const auto identity = SshIdentity::make(user, trial->spec.subid_first);
    if (!identity) return identity.error();
    BootWatch watch{
        target, identity->credentials(), signs, {far_deadline(bench), bench.boot_limit}};
    return watch.wait_for(ReadyLevel::ssh);
  }();
  if (!came_in) return came_in;
  const auto expected =
      trial->spec.hostname + "\n" + std::to_string(user.uid) + "\n" + bench.site->mounted_text();
  // Tried and not asked: busybox's test(1) looks at the file's mode alone.
  const auto seen = remote_output(*trial, target,
                                  std::string{"uname -n && id -u && cat "} + Site::mounted_file() +
                                      " && if (: >>" + Site::mounted_file() +
                                      ") 2>/dev/null; then echo and can be written; fi");
  // The connection that the login has made would outlive the machine.
  (void)run({.argv = ssh_command(target, {"-O", "exit"}, ""),
             .working_directory = ssh_socket_folder(target.dir),
             .user = Credentials{user.uid, user.gid, user.groups}});
  if (!seen) return seen.error();
  if (*seen != expected) {
    return wrong("hostname, uid and mounted text in the machine are '" + *seen +
                 "' and shall be '" + expected + "'");
  }
  return trial->destroy_and_look();
}

Verdict console(Bench& bench) {
  if (!bench.has(CLOUD_CAP_CONSOLE)) return Verdict::skip("no CLOUD_CAP_CONSOLE");
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto lived = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
    if (auto done = trial->prepare(subject); !done) return std::move(done).error();
    if (auto done = trial->start(subject); !done) return std::move(done).error();
    UniqueFd stream;
    if (auto done = must(subject.console(trial->ref(), stream)); !done) {
      return std::move(done).error();
    }
    if (!stream) return wrong("console() gave no descriptor");
    pollfd wanted{stream.value(), POLLIN, 0};
    constexpr int kFirstByteMs = 20000;
    char byte = 0;
    if (::poll(&wanted, 1, kFirstByteMs) != 1 || ::read(stream.value(), &byte, 1) != 1) {
      return wrong("nothing came out of the console within 20 s");
    }
    if (auto done = trial->destroy(subject); !done) return std::move(done).error();
    return std::string{};
  });
  if (!lived) return lived.error();
  return trial->look();
}

}  // namespace

std::vector<Check> entry_checks() {
  return {{"namespaces", "a task enters a machine with setns(2), and its user is at home there",
           namespaces},
          {"ssh", "the user logs in to a machine with its key", ssh},
          {"console", "the console carries what the machine prints", console}};
}

}  // namespace cloud
