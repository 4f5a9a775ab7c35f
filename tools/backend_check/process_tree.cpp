// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/process_tree.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>

#include "core/backend/one_line.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;

// "" where the process has ended meanwhile.
std::string content_of(const std::string& path) {
  auto text = read_file(path);
  return text ? *std::move(text) : std::string{};
}

struct Stat {
  char state = '\0';
  pid_t parent = 0;
};

Stat read_stat(const std::string& folder) {
  const auto text = content_of(folder + "/stat");
  // The command's name, in parentheses, may hold anything.
  const auto end = text.rfind(')');
  Stat stat;
  if (end == std::string::npos) return stat;
  std::istringstream rest{text.substr(end + 1)};
  rest >> stat.state >> stat.parent;
  return stat;
}

bool read_process(const std::string& folder, ProcessEntry& entry) {
  const auto stat = read_stat(folder);
  if (stat.state == '\0') return false;
  entry.parent = stat.parent;
  entry.is_zombie = stat.state == 'Z' || stat.state == 'X';
  entry.command = content_of(folder + "/cmdline");
  std::replace(entry.command.begin(), entry.command.end(), '\0', ' ');
  while (entry.command.ends_with(' ')) entry.command.pop_back();
  return true;
}

}  // namespace

char state_of(pid_t pid) {
  return read_stat("/proc/" + std::to_string(pid)).state;
}

pid_t parent_of(pid_t pid) {
  return read_stat("/proc/" + std::to_string(pid)).parent;
}

std::vector<ProcessEntry> all_processes() {
  std::vector<ProcessEntry> found;
  std::error_code problem;
  for (fs::directory_iterator at{"/proc", problem}; !problem && at != fs::directory_iterator{};
       at.increment(problem)) {
    const auto name = at->path().filename().string();
    ProcessEntry entry;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), entry.pid);
    if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) continue;
    if (read_process(at->path().string(), entry)) found.push_back(std::move(entry));
  }
  return found;
}

std::vector<ProcessEntry> descendants_of(pid_t ancestor, const std::vector<ProcessEntry>& all) {
  std::set<pid_t> below{ancestor};
  std::vector<ProcessEntry> found;
  // A child may have a lower number than its parent.
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& process : all) {
      if (below.contains(process.pid) || !below.contains(process.parent)) continue;
      below.insert(process.pid);
      found.push_back(process);
      grew = true;
    }
  }
  return found;
}

std::string describe(const ProcessEntry& process) {
  return std::to_string(process.pid) + " (" + one_line(process.command.c_str(), 80) + ")";
}

void kill_descendants() {
  using namespace std::chrono_literals;
  for (int round = 0; round < 100; ++round) {
    const auto left = descendants_of(::getpid(), all_processes());
    if (left.empty()) return;
    for (const auto& process : left) ::kill(process.pid, SIGKILL);
    std::this_thread::sleep_for(5ms);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace cloud
