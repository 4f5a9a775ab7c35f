// SPDX-License-Identifier: Apache-2.0
#include "core/machine/machine_layers.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <set>
#include <spank-cloud/base/uninterrupted.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "core/job/cgroup_processes.hpp"
#include "core/job/text_split.hpp"
#include "core/machine/keeper_lock.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/folder_beneath.hpp"

namespace cloud {
namespace {

constexpr std::size_t kMountInfoMax = std::size_t{64} << 20;
constexpr std::chrono::seconds kLookLimit{1};  ///< for who has a machine's mounts

std::vector<MountLine> lines_of(const std::string& mountinfo) {
  std::vector<MountLine> lines;
  for (const auto& line : split(mountinfo, '\n')) {
    // 36 35 98:0 / /mount/point rw,noatime shared:1 - tmpfs tmpfs rw
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || std::distance(dash, fields.end()) < 2) continue;
    lines.push_back({fields[2], fields[4], dash[1]});
  }
  return lines;
}

bool is_below(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// Cuts a file of the layer to nothing.
void cut_file(int folder, const char* name, dev_t layer) {
  const UniqueFd file{
      ::openat(folder, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  struct stat status {};
  if (!file || ::fstat(file.value(), &status) != 0) return;
  if (!S_ISREG(status.st_mode) || status.st_dev != layer) return;
  // What cannot be cut stays until it is closed.
  [[maybe_unused]] const int cut = ::ftruncate(file.value(), 0);
}

// A file that somebody holds keeps its memory where it is only unlinked. Folders are emptied by
// whoever removes them: deep ones need care. A task may have handed out a folder, and its user then
// exchanges what is in it for links.
void cut_files(const std::string& point) {
  const UniqueFd layer{::open(point.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat status {};
  if (!layer || ::fstat(layer.value(), &status) != 0) return;
  std::vector<std::string> ahead{"."};
  while (!ahead.empty()) {
    const auto path = std::move(ahead.back());
    ahead.pop_back();
    auto folder = open_folder_beneath(layer.value(), path.c_str());
    if (!folder) continue;
    DIR* entries = ::fdopendir(folder.value());
    if (entries == nullptr) continue;
    // closedir(3) closes it.
    [[maybe_unused]] const int handed_over = folder.release();
    while (const auto* entry = ::readdir(entries)) {
      const std::string_view name{entry->d_name};
      if (name == "." || name == "..") continue;
      if (entry->d_type == DT_REG) cut_file(::dirfd(entries), entry->d_name, status.st_dev);
      if (entry->d_type == DT_DIR && path.size() + name.size() < PATH_MAX - 1) {
        ahead.push_back(path + "/" + entry->d_name);
      }
    }
    ::closedir(entries);
  }
}

// False where it can still be written to.
bool shut(const MountLine& layer) {
  const auto* point = layer.point.c_str();
  if (layer.type == "tmpfs") cut_files(layer.point);
  if (::mount(nullptr, point, nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0) return true;
  if (layer.type != "tmpfs") return false;
  // Somebody has a file of it open for writing. Without room, nothing of it can grow.
  struct statfs used {};
  if (::statfs(point, &used) != 0) return false;
  const auto bytes = (used.f_blocks - used.f_bfree + 1) * static_cast<std::uint64_t>(used.f_bsize);
  const auto limits =
      "size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(used.f_files - used.f_ffree);
  return ::mount(nullptr, point, nullptr, MS_REMOUNT, limits.c_str()) == 0;
}

// JUSTIFICATION: a process of its own changes to another mount namespace; ours stays where it is.
[[noreturn]] void shut_in_child(int mounts, const std::string& of_node,
                                const std::string& work_dir) {
  ::dup2(mounts, 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  if (::setns(3, CLONE_NEWNS) != 0) ::_exit(1);
  const auto own = read_file("/proc/self/mountinfo", kMountInfoMax);
  if (!own) ::_exit(1);
  bool all = true;
  for (const auto& layer : machine_layers(*own, of_node, work_dir)) all = shut(layer) && all;
  ::_exit(all ? 0 : 2);
}

// A process of root's in the machine's groups. Its folder in /proc is held open: it never comes to
// be that of another with the number.
class RootProcess {
 public:
  RootProcess(pid_t pid, const std::string& machine_cgroup) {
    const auto path = "/proc/" + std::to_string(pid);
    folder_.reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const bool is_ours = is_of_our_namespace() &&
                         read("status").find(kRootsIds) != std::string::npos &&
                         read("cgroup").find(":" + machine_cgroup + "/") != std::string::npos;
    if (!is_ours) folder_.reset();
  }

  explicit operator bool() const { return static_cast<bool>(folder_); }
  [[nodiscard]] UniqueFd open(const char* name) const {
    return UniqueFd{::openat(folder_.value(), name, O_RDONLY | O_CLOEXEC)};
  }
  [[nodiscard]] std::string read(const char* name) const {
    const auto file = open(name);
    auto text = read_file(file.value(), name, kMountInfoMax);
    return text ? *std::move(text) : std::string{};
  }

 private:
  static constexpr std::string_view kRootsIds = "\nUid:\t0\t0\t0\t0\n";

  // Root of a user's own user namespace may have mounted what it likes.
  [[nodiscard]] bool is_of_our_namespace() const {
    struct stat its {};
    struct stat ours {};
    return ::fstatat(folder_.value(), "ns/user", &its, 0) == 0 &&
           ::stat("/proc/self/ns/user", &ours) == 0 && its.st_dev == ours.st_dev &&
           its.st_ino == ours.st_ino;
  }

  UniqueFd folder_;
};

}  // namespace

std::vector<MountLine> machine_layers(const std::string& of_keeper, const std::string& of_node,
                                      const std::string& work_dir) {
  std::set<std::string> on_node;
  for (const auto& line : lines_of(of_node)) on_node.insert(line.device);
  std::vector<MountLine> found;
  for (auto& line : lines_of(of_keeper)) {
    const bool is_ours = line.type == "tmpfs" || line.type == "overlay";
    if (!is_ours || !is_below(line.point, work_dir) || on_node.contains(line.device)) continue;
    // What the machine sees of the host is mounted in its root.
    const bool is_inside = std::any_of(found.begin(), found.end(), [&](const MountLine& other) {
      return other.type == "overlay" && is_below(line.point, other.point);
    });
    if (!is_inside) found.push_back(std::move(line));
  }
  return found;
}

UniqueFd machine_mounts(const std::string& job_path, const std::string& machine_cgroup,
                        const std::string& work_dir) {
  if (const auto pid = living_keeper(job_path, machine_cgroup); pid != 0) {
    const auto path = "/proc/" + std::to_string(pid) + "/ns/mnt";
    UniqueFd mounts{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    // Asked again: the number cannot have come to mean another process in between.
    if (living_keeper(job_path, machine_cgroup) == pid) return mounts;
  }
  if (machine_cgroup.empty()) return {};
  const auto of_node = read_file("/proc/self/mountinfo", kMountInfoMax);
  if (!of_node) return {};
  // Where the machine has made more groups than can be looked into by then, nothing is shut.
  const auto deadline = std::chrono::steady_clock::now() + kLookLimit;
  for (const auto pid : cgroup_processes(machine_cgroup, deadline)) {
    if (std::chrono::steady_clock::now() >= deadline) break;
    const RootProcess process{pid, machine_cgroup};
    if (!process) continue;
    const auto own = process.read("mountinfo");
    if (machine_layers(own, *of_node, work_dir).empty()) continue;
    if (auto mounts = process.open("ns/mnt")) return mounts;
  }
  return {};
}

Result<void> shut_machine_layers(const UniqueFd& mounts, const std::string& work_dir,
                                 std::chrono::milliseconds limit) {
  if (!mounts) return {};
  const auto of_node = read_file("/proc/self/mountinfo", kMountInfoMax);
  if (!of_node) return of_node.error();
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(Blame::node, "fork", errno);
  if (pid == 0) shut_in_child(mounts.value(), *of_node, work_dir);
  const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!is_ready_within(process.value(), POLLIN, limit)) {
    ::kill(pid, SIGKILL);
    return Error{Blame::node, "the machine's file systems are not shut in time"};
  }
  int status = 0;
  uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{Blame::node,
               "a file system of the machine's could not be shut: a process outside "
               "of it has a file open for writing"};
}

}  // namespace cloud
