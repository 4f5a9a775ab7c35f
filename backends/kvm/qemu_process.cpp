// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/qemu_process.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <spank-cloud/base/uninterrupted.hpp>
#include <sstream>

#include "backends/kvm/private_file.hpp"

// Of Linux 6.5; the headers may be older.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace cloud::kvm {
namespace {

namespace fs = std::filesystem;
using sdk::Descriptor;
using sdk::Failure;

Descriptor open_pidfd(pid_t pid) {
  return Descriptor{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
}

// Field 22 of /proc/PID/stat, counted behind the command's name.
std::string start_time(pid_t pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
  // Not through an iterator, which throws where the process ends between open and read.
  std::string text;
  std::getline(file, text, '\0');
  const auto close = text.rfind(')');
  if (close == std::string::npos) return {};
  std::istringstream fields{text.substr(close + 1)};
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  return field;
}

// Real, effective, saved and of the file system: "Uid:  107 107 107 107". The owner of /proc/PID is
// root where the process cannot be dumped.
bool runs_as(pid_t pid, uid_t uid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, 4, "Uid:") != 0) continue;
    std::istringstream numbers{line.substr(4)};
    int count = 0;
    for (uid_t number = 0; numbers >> number; ++count) {
      if (number != uid) return false;
    }
    return count == 4;
  }
  return false;
}

// "-name guest=NAME,debug-threads=on"
bool is_qemu_of(pid_t pid, const std::string& machine) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/cmdline"};
  const auto wanted = "guest=" + machine;
  bool is_name = false;
  for (std::string word; std::getline(file, word, '\0');) {
    const bool fits = word == wanted || word.rfind(wanted + ",", 0) == 0;
    if (is_name && fits) return true;
    is_name = word == "-name";
  }
  return false;
}

// Where the kernel does not hand out a descriptor of the peer, the number may have come to mean
// another process: only one of the id is taken, and only while it lives.
sdk::Process peer_of(const Descriptor& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.value(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    throw sdk::system_failure(CLOUD_E_NODE, "ask whose the machine's console is", errno);
  }
  int pidfd = -1;
  size = sizeof pidfd;
  if (::getsockopt(socket.value(), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) != 0) {
    return {peer.pid, open_pidfd(peer.pid)};
  }
  return {peer.pid, Descriptor{pidfd}};
}

}  // namespace

sdk::Process process_behind(const Descriptor& console, uid_t uid) {
  auto process = peer_of(console);
  // Not over after its ids were read: then they were its own, and not of another with the number.
  if (process.pidfd && runs_as(process.pid, uid) && !sdk::is_over(process)) return process;
  throw Failure{CLOUD_E_NODE, "the machine's console is that of process " +
                                  std::to_string(process.pid) + ", which does not run as uid " +
                                  std::to_string(uid) +
                                  " as the machine's QEMU must (does libvirt's qemu.conf have "
                                  "security_driver = \"none\"?)"};
}

void remember_process(const std::string& work_dir, const sdk::Process& process) {
  const auto began = start_time(process.pid);
  // Asked after its time was read: the number has not come to mean another process.
  if (sdk::is_over(process)) throw Failure{CLOUD_E_NODE, "the machine's QEMU has ended"};
  write_private_file(work_dir + "/qemu", std::to_string(process.pid) + " " + began + "\n");
}

sdk::Process remembered_process(const std::string& work_dir) {
  std::ifstream file{work_dir + "/qemu"};
  sdk::Process found;
  std::string began;
  if (!(file >> found.pid >> began) || found.pid <= 1) return {};
  found.pidfd = open_pidfd(found.pid);
  // Compared after the descriptor is open: it cannot come to mean another process.
  if (!found.pidfd || start_time(found.pid) != began) return {};
  // It may have ended, and libvirtd not have seen it yet.
  if (sdk::is_over(found)) return {};
  return found;
}

std::vector<sdk::Process> processes_of(uid_t uid, const std::string& machine) {
  std::vector<sdk::Process> found;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{"/proc", problem}) {
    const auto name = entry.path().filename().string();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc{} || pid <= 1) continue;
    auto process = sdk::open_process(
        pid, [&](pid_t number) { return runs_as(number, uid) && is_qemu_of(number, machine); });
    if (process) found.push_back(std::move(process));
  }
  return found;
}

pid_t end_processes(const std::vector<sdk::Process>& processes, sdk::Deadline deadline) {
  for (const auto& process : processes) {
    ::syscall(SYS_pidfd_send_signal, process.pidfd.value(), SIGKILL, nullptr, 0);
  }
  for (const auto& process : processes) {
    const std::chrono::nanoseconds left{deadline.remaining()};
    const auto limit = std::chrono::ceil<std::chrono::milliseconds>(left);
    if (!is_ready_within(process.pidfd.value(), POLLIN, limit)) return process.pid;
  }
  return 0;
}

}  // namespace cloud::kvm
