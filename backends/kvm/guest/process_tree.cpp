// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/guest/process_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

// 0 where the process has gone. /proc/PID/stat: "PID (COMMAND) STATE PARENT ...", and a command may
// hold anything.
pid_t parent_of(const std::string& pid) {
  const UniqueFd fd{::open(("/proc/" + pid + "/stat").c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<char, 512> buffer{};
  const auto got = fd ? ::read(fd.value(), buffer.data(), buffer.size()) : -1;
  if (got <= 0) return 0;
  const std::string_view text{buffer.data(), static_cast<std::size_t>(got)};
  const auto end = text.rfind(')');
  constexpr std::size_t kToParent = 4;  // ") S "
  if (end == std::string_view::npos || text.size() <= end + kToParent) return 0;
  pid_t parent = 0;
  std::from_chars(text.data() + end + kToParent, text.data() + text.size(), parent);
  return parent;
}

std::vector<std::pair<pid_t, pid_t>> processes_and_parents() {
  std::vector<std::pair<pid_t, pid_t>> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc{::opendir("/proc"), ::closedir};
  if (proc == nullptr) return found;
  while (const auto* entry = ::readdir(proc.get())) {
    const std::string name{entry->d_name};
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size()) continue;
    if (const auto parent = parent_of(name); parent > 0) found.emplace_back(pid, parent);
  }
  return found;
}

bool reap_all() {
  for (;;) {
    const auto pid = ::waitpid(-1, nullptr, WNOHANG);
    if (pid < 0 && errno == ECHILD) return true;
    if (pid == 0) return false;
  }
}

}  // namespace

std::vector<pid_t> descendants() {
  const auto all = processes_and_parents();
  std::vector<pid_t> family{::getpid()};
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const auto& [pid, parent] : all) {
      if (parent == family[i] && std::ranges::find(family, pid) == family.end())
        family.push_back(pid);
    }
  }
  family.erase(family.begin());
  return family;
}

bool signal_descendants(int number) {
  const auto family = descendants();
  bool any = family.empty();
  for (const auto pid : family) any = (::kill(pid, number) == 0) || any;
  return any;
}

void kill_descendants(std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  // Stopped first, so that nobody forks while the others are killed.
  signal_descendants(SIGSTOP);
  for (;;) {
    const bool ours = signal_descendants(SIGKILL);
    if (reap_all()) return;
    if (!ours && std::chrono::steady_clock::now() > end) return;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
}

}  // namespace cloud
