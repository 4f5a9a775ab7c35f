// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/qemu_process.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

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

// "-name guest=NAME,debug-threads=on"
bool is_qemu_of(const fs::path& process, const std::string& machine) {
  std::ifstream file{process / "cmdline"};
  const auto wanted = "guest=" + machine;
  bool is_name = false;
  for (std::string word; std::getline(file, word, '\0');) {
    const bool fits = word == wanted || word.rfind(wanted + ",", 0) == 0;
    if (is_name && fits) return true;
    is_name = word == "-name";
  }
  return false;
}

}  // namespace

sdk::Process process_of_libvirt(const std::string& run_dir, const std::string& machine) {
  const auto path = run_dir + "/" + machine + ".pid";
  std::ifstream file{path};
  sdk::Process found;
  if (!(file >> found.pid) || found.pid <= 1) {
    throw Failure{CLOUD_E_NODE, "libvirt names no process of the machine in " + path +
                                    " (is libvirt_run_dir of [backend.kvm] right?)"};
  }
  found.pidfd = open_pidfd(found.pid);
  if (!found.pidfd || !is_qemu_of("/proc/" + std::to_string(found.pid), machine)) {
    throw Failure{CLOUD_E_NODE, "the process in " + path + " is not the machine's"};
  }
  return found;
}

void remember_process(const std::string& work_dir, pid_t pid) {
  std::ofstream file{work_dir + "/qemu", std::ios::trunc};
  file << pid << ' ' << start_time(pid) << '\n' << std::flush;
  if (!file) throw sdk::system_failure(CLOUD_E_NODE, "write " + work_dir + "/qemu", errno);
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

std::vector<sdk::Process> processes_by_name(const std::string& machine) {
  std::vector<sdk::Process> found;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{"/proc", problem}) {
    const auto name = entry.path().filename().string();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc{} || pid <= 1) continue;
    if (!is_qemu_of(entry.path(), machine)) continue;
    sdk::Process process{pid, open_pidfd(pid)};
    if (process.pidfd && is_qemu_of(entry.path(), machine)) found.push_back(std::move(process));
  }
  return found;
}

void kill_process(const sdk::Process& process) noexcept {
  if (process.pidfd) {
    ::syscall(SYS_pidfd_send_signal, process.pidfd.value(), SIGKILL, nullptr, 0);
  }
}

}  // namespace cloud::kvm
