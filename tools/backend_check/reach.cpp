// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/reach.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

/// A process of somebody else's.
struct Quarry {
  pid_t pid;
  int process;         ///< a pidfd
  std::string folder;  ///< "/proc/PID"
};

// ATTACH asks the kernel the same, and would stop the process besides.
bool traces(const Quarry& quarry) {
  if (::ptrace(PTRACE_SEIZE, quarry.pid, nullptr, nullptr) != 0) return false;
  ::ptrace(PTRACE_INTERRUPT, quarry.pid, nullptr, nullptr);
  ::waitpid(quarry.pid, nullptr, __WALL);
  ::ptrace(PTRACE_DETACH, quarry.pid, nullptr, nullptr);
  return true;
}

bool takes_descriptor(const Quarry& quarry) {
  const UniqueFd taken{static_cast<int>(::syscall(SYS_pidfd_getfd, quarry.process, 0, 0))};
  // Who may not is told so before it is looked whether there is such a descriptor.
  return taken || errno == EBADF;
}

bool reads_memory(const Quarry& quarry) {
  char byte = 0;
  const iovec here{&byte, 1};
  const iovec there{nullptr, 1};
  return ::process_vm_readv(quarry.pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT;
}

// Of a process without memory (one that has ended, or of the kernel's) it opens, and is empty.
bool reads(const Quarry& quarry, const char* name) {
  const UniqueFd file{::open((quarry.folder + name).c_str(), O_RDONLY | O_CLOEXEC)};
  char byte = 0;
  return file && ::read(file.value(), &byte, 1) == 1;
}
bool reads_environment(const Quarry& quarry) {
  return reads(quarry, "/environ");
}
bool reads_maps(const Quarry& quarry) {
  return reads(quarry, "/maps");
}
bool opens_memory(const Quarry& quarry) {
  const UniqueFd file{::open((quarry.folder + "/mem").c_str(), O_RDONLY | O_CLOEXEC)};
  char byte = 0;
  // Nothing is at that address: where there is memory, it is an error.
  return file && ::pread(file.value(), &byte, 1, 0) != 0;
}

bool follows(const Quarry& quarry, const std::string& name) {
  return static_cast<bool>(UniqueFd{::open((quarry.folder + name).c_str(), O_PATH | O_CLOEXEC)});
}
bool opens_descriptor(const Quarry& quarry) {
  return follows(quarry, "/fd/0") || follows(quarry, "/fd/1") || follows(quarry, "/fd/2");
}
bool opens_root(const Quarry& quarry) {
  return follows(quarry, "/root");
}
bool opens_directory(const Quarry& quarry) {
  return follows(quarry, "/cwd");
}
bool opens_program(const Quarry& quarry) {
  return follows(quarry, "/exe");
}

struct NamespaceKind {
  const char* name;
  int flag;
};
// The user namespace first: whoever is in that one gets the others, too.
constexpr std::array kNamespaceKinds{
    NamespaceKind{"user", CLONE_NEWUSER},     NamespaceKind{"mnt", CLONE_NEWNS},
    NamespaceKind{"pid", CLONE_NEWPID},       NamespaceKind{"net", CLONE_NEWNET},
    NamespaceKind{"ipc", CLONE_NEWIPC},       NamespaceKind{"uts", CLONE_NEWUTS},
    NamespaceKind{"cgroup", CLONE_NEWCGROUP}, NamespaceKind{"time", 0x80}};

bool opens_namespace(const Quarry& quarry) {
  for (const auto& kind : kNamespaceKinds) {
    if (follows(quarry, std::string{"/ns/"} + kind.name)) return true;
  }
  return false;
}
bool joins_namespace(const Quarry& quarry) {
  for (const auto& kind : kNamespaceKinds) {
    if (::setns(quarry.process, kind.flag) == 0) return true;
    const auto path = quarry.folder + "/ns/" + kind.name;
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file && ::setns(file.value(), kind.flag) == 0) return true;
  }
  return false;
}

std::string line_of(const std::string& path, const std::string& begin) {
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(begin)) return line.substr(begin.size());
  }
  return {};
}

// The kernel compares the sender's with these two of the receiver's.
bool carries_own_uid(const Quarry& quarry) {
  std::istringstream ids{line_of(quarry.folder + "/status", "Uid:")};
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  ids >> real >> effective >> saved;
  return ids && (real == ::getuid() || saved == ::getuid());
}

bool is_in_own_user_namespace(const Quarry& quarry) {
  return line_of(quarry.folder + "/uid_map", "") == line_of("/proc/self/uid_map", "");
}

bool signals(const Quarry& quarry) {
  if (::kill(quarry.pid, 0) != 0 && ::syscall(SYS_pidfd_send_signal, quarry.process, 0, 0, 0) != 0)
    return false;
  // Tasks carry it, and are in the machine; nothing that serves a machine does, and is outside.
  const bool is_task = carries_own_uid(quarry) && !is_in_own_user_namespace(quarry);
  // One that has ended since carries nothing that could be read.
  return !is_task && ::access((quarry.folder + "/status").c_str(), F_OK) == 0;
}

struct Attempt {
  const char* what;
  bool (*succeeds)(const Quarry&);
};
constexpr std::array kAttempts{Attempt{"trace it (PTRACE_SEIZE)", traces},
                               Attempt{"take its descriptors (pidfd_getfd)", takes_descriptor},
                               Attempt{"read its memory (process_vm_readv)", reads_memory},
                               Attempt{"open its /proc/PID/mem", opens_memory},
                               Attempt{"read its /proc/PID/environ", reads_environment},
                               Attempt{"read its /proc/PID/maps", reads_maps},
                               Attempt{"open its descriptors in /proc/PID/fd", opens_descriptor},
                               Attempt{"open its /proc/PID/root", opens_root},
                               Attempt{"open its /proc/PID/cwd", opens_directory},
                               Attempt{"open its /proc/PID/exe", opens_program},
                               Attempt{"open its /proc/PID/ns", opens_namespace},
                               Attempt{"signal it", signals},
                               // Last: it changes who we are.
                               Attempt{"join its namespaces (setns)", joins_namespace}};

}  // namespace

std::vector<std::string> reach_of(pid_t pid) {
  std::vector<std::string> found;
  const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!process) return found;
  const Quarry quarry{pid, process.value(), "/proc/" + std::to_string(pid)};
  for (const auto& attempt : kAttempts) {
    if (attempt.succeeds(quarry)) found.emplace_back(attempt.what);
  }
  return found;
}

}  // namespace cloud
