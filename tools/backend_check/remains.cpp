// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/remains.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "tools/backend_check/process_tree.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Where programs leave things behind. Not all of the disk: a run has many machines.
constexpr const char* kPlaces[] = {"/run",     "/tmp",     "/var/tmp", "/dev/shm",
                                   "/var/lib", "/var/log", "/etc",     "/sys/fs/cgroup"};
constexpr int kDepth = 7;

// Those whose source or place speaks of it: others come and go on a node that is used.
std::set<std::string> mounts_of(const std::string& machine) {
  std::set<std::string> found;
  std::ifstream file{"/proc/self/mountinfo"};
  for (std::string line; std::getline(file, line);) {
    if (line.find(machine) == std::string::npos) continue;
    std::istringstream words{line};
    std::string point;
    for (int i = 0; i < 5; ++i) words >> point;
    found.insert(point);
  }
  return found;
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> found;
  std::error_code problem;
  for (fs::directory_iterator at{folder, problem}; !problem && at != fs::directory_iterator{};
       at.increment(problem)) {
    found.insert(at->path().filename().string());
  }
  return found;
}

// Loop devices in use and the file behind each.
std::set<std::string> loop_devices() {
  std::set<std::string> found;
  for (const auto& name : names_in("/sys/block")) {
    std::ifstream file{"/sys/block/" + name + "/loop/backing_file"};
    if (std::string behind; std::getline(file, behind)) found.insert(name + " of " + behind);
  }
  return found;
}

std::string added(const char* what, const std::set<std::string>& before,
                  const std::set<std::string>& after) {
  for (const auto& one : after) {
    if (!before.contains(one)) return std::string{what} + " " + one;
  }
  return {};
}

}  // namespace

Remains::Remains(std::string machine, std::string work_dir, std::string neighbours)
    : machine_{std::move(machine)},
      work_dir_{std::move(work_dir)},
      neighbours_{std::move(neighbours)},
      before_{picture()} {}

Remains::Picture Remains::picture() const {
  return {mounts_of(machine_), names_in("/sys/class/net"), loop_devices(), names_in(neighbours_)};
}

std::string Remains::left(std::chrono::seconds patience) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    auto found = left_now();
    if (found.empty() || std::chrono::steady_clock::now() > end) return found;
    std::this_thread::sleep_for(50ms);
  }
}

std::string Remains::left_now() const {
  auto after = picture();
  after.neighbours.erase(fs::path{work_dir_}.filename().string());
  // Other machines of the check; and hidden files, by which a backend remembers what it has found
  // out of the node.
  std::erase_if(after.neighbours, [&](const std::string& name) {
    return (name.starts_with('.') || name.starts_with("sc-")) &&
           name.find(machine_) == std::string::npos;
  });
  const std::string found[] = {
      left_processes(),
      added("mount", before_.mounts, after.mounts),
      added("network interface", before_.interfaces, after.interfaces),
      added("loop device", before_.loops, after.loops),
      added("beside the work directory", before_.neighbours, after.neighbours),
      left_files()};
  for (const auto& one : found) {
    if (!one.empty()) return one;
  }
  return {};
}

// Called while no worker runs.
std::string Remains::left_processes() const {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  const auto all = all_processes();
  for (const auto& process : descendants_of(::getpid(), all)) {
    if (!process.is_zombie) return "process " + describe(process);
  }
  for (const auto& process : all) {
    if (!process.is_zombie && process.command.find(machine_) != std::string::npos) {
      return "process " + describe(process);
    }
  }
  return {};
}

std::string Remains::left_files() const {
  const auto engines = fs::path{neighbours_}.parent_path().string();
  for (const auto* place : kPlaces) {
    std::error_code problem;
    constexpr auto kOptions = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator at{place, kOptions, problem};
         !problem && at != fs::recursive_directory_iterator{}; at.increment(problem)) {
      const auto path = at->path().string();
      // The engine's own, packages' many files, and logs, which are for whoever asks why.
      const bool is_engines = path == engines || path.find("/spank-cloud-check-") != path.npos ||
                              path == "/var/lib/dpkg" || path.ends_with(".log");
      if (is_engines || at.depth() >= kDepth) at.disable_recursion_pending();
      if (!is_engines && path.find(machine_, path.rfind('/')) != std::string::npos) {
        return "file " + path;
      }
    }
  }
  return {};
}

}  // namespace cloud
