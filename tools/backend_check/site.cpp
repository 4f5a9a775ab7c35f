// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/site.hpp"

#include <limits.h>
#include <pwd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string_view>
#include <thread>

#include "core/address/lease_file.hpp"
#include "core/job/cgroup.hpp"
#include "core/job/cgroup_hierarchy.hpp"
#include "core/job/cgroup_limits.hpp"
#include "core/job/cgroup_processes.hpp"
#include "core/job/cgroup_tree.hpp"
#include "core/machine/user_account.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"
#include "tools/backend_check/verdict.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::string_view kFolder = "backend-check-";  ///< and the number of the run's process
constexpr std::uint64_t kFirstJobId = 4000000000;       ///< above any that Slurm gives

// Pools may be shared by nodes: the node's name tells equal numbers of processes apart.
std::uint64_t lease_id_of(pid_t run) {
  std::array<char, HOST_NAME_MAX + 1> node{};
  ::gethostname(node.data(), node.size() - 1);
  constexpr std::size_t kNodes = 1 << 20;
  constexpr std::uint64_t kPidsOfNode = 1 << 22;
  const auto number = std::hash<std::string_view>{}(node.data()) % kNodes;
  return kFirstJobId + number * kPidsOfNode + static_cast<std::uint64_t>(run);
}

// Groups vanish a moment after their last process.
void remove_groups(const std::string& path) {
  for (int round = 0; round < 40; ++round) {
    bool is_left = false;
    for (const auto& hierarchy : cgroup_hierarchies()) {
      const auto top = hierarchy.mount_point + path;
      const bool seen = visit_cgroups(
          top, [](const CgroupVisit& at) { ::unlinkat(at.parent, at.name.c_str(), AT_REMOVEDIR); });
      is_left = is_left || !seen || ::access(top.c_str(), F_OK) == 0;
    }
    if (!is_left) return;
    std::this_thread::sleep_for(50ms);
  }
}

void unmount_below(const std::string& folder) {
  std::vector<std::string> points;
  std::ifstream file{"/proc/self/mountinfo"};
  for (std::string line; std::getline(file, line);) {
    std::istringstream words{line};
    std::string point;
    for (int i = 0; i < 5; ++i) words >> point;
    if (point.starts_with(folder + "/")) points.push_back(point);
  }
  std::reverse(points.begin(), points.end());
  for (const auto& point : points) ::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

std::string padded(std::size_t number, std::size_t digits) {
  auto text = std::to_string(number);
  if (text.size() < digits) text.insert(0, digits - text.size(), '0');
  return text;
}

}  // namespace

MachineRef ref_of(const MachineSpec& spec) {
  return {spec.name, spec.work_dir, spec.cgroup};
}

Result<std::unique_ptr<Site>> Site::set_up(const LiveOptions& options, Target& target) {
  if (::geteuid() != 0) return wrong("--live needs root, as the prolog has");
  auto config = require_site_config(options.config_file);
  if (!config) return std::move(config).error();
  std::unique_ptr<Site> site{new Site};
  site->config_ = *std::move(config);
  const auto* backend = site->config_.backend(target.name);
  if (backend == nullptr) {
    return wrong(options.config_file + " has no [backend." + target.name + "]");
  }
  target.config = *backend;
  const auto image_name = options.image.empty() ? backend->image : options.image;
  const auto* image = site->config_.image(image_name);
  if (image == nullptr) {
    return wrong("no image '" + image_name + "' in " + options.config_file +
                 ": name one with --image (" + site->config_.image_names(target.name) + ")");
  }
  target.image = *image;
  site->image_ = {image->name,    image->path, image->format, image->init, image->initrd,
                  image->cmdline, {}};
  const auto* account = ::getpwnam(options.user.c_str());
  if (account == nullptr) return wrong("no user '" + options.user + "' on this node");
  if (account->pw_uid == 0) return wrong("a machine belongs to an ordinary user, not to root");
  JobRecord record;
  record.uid = account->pw_uid;
  record.gid = account->pw_gid;
  record.user = options.user;
  auto user = look_up_user(record);
  if (!user) return std::move(user).error();
  site->user_ = *std::move(user);
  site->memory_mb_ = options.memory_mb;
  site->belong_to(::getpid());
  site->wanted_address_ = options.address;
  site->holds_.backend = target.name;
  site->holds_.lease_id = lease_id_of(::getpid());
  if (auto made = site->make_folders(); !made) {
    (void)site->tear_down();
    return std::move(made).error();
  }
  return site;
}

void Site::belong_to(pid_t run) {
  base_ = config_.state_dir + "/" + std::string{kFolder} + std::to_string(run);
  cgroup_ = "/spank-cloud-check-" + std::to_string(run);
}

std::vector<std::unique_ptr<Site>> Site::orphans(const Target& target) const {
  std::vector<std::unique_ptr<Site>> found;
  std::error_code problem;
  for (fs::directory_iterator at{config_.state_dir, problem};
       !problem && at != fs::directory_iterator{}; at.increment(problem)) {
    const auto name = at->path().filename().string();
    if (!name.starts_with(kFolder) || at->path() == base_) continue;
    pid_t run = 0;
    const auto* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kFolder.size(), end, run);
    if (parsed.ec != std::errc{} || parsed.ptr != end) continue;
    auto holds = RunMark::read(at->path().string());
    // What another backend has made, that one removes.
    if (!holds || holds->backend != target.name) continue;
    auto mark = RunMark::take(at->path().string());
    if (!mark) continue;  // it runs
    std::unique_ptr<Site> orphan{new Site};
    orphan->config_ = config_;
    orphan->belong_to(run);
    orphan->mark_ = *std::move(mark);
    orphan->holds_ = *std::move(holds);
    found.push_back(std::move(orphan));
  }
  return found;
}

Result<void> Site::take_address(const Target& target) {
  const auto* pool = config_.pool(target.config.pool);
  if (pool == nullptr) return {};
  auto address = wanted_address_;
  if (address.empty()) {
    LeaseFile file{pool->file};
    // The mark knows it first, as a job's record does.
    auto leased = file.lease(holds_.lease_id, "", {}, [&](const std::string& chosen) {
      holds_.lease_file = pool->file;
      holds_.address = chosen;
      return mark_.write(holds_);
    });
    if (!leased) return std::move(leased).error();
    address = *std::move(leased);
  }
  network_ = MachineNetwork{static_cast<std::uint32_t>(pool->prefix_length),
                            pool->bridge,
                            mac_of(address),
                            address,
                            pool->gateway,
                            pool->dns,
                            pool->isolate};
  return {};
}

Result<void> Site::make_folders() {
  for (const auto& folder :
       {config_.state_dir, base_, machines_dir(), run_dir(), base_ + "/share"}) {
    if (auto made = make_directories(folder, 0755); !made) return made;
  }
  auto mark = RunMark::take(base_);
  if (!mark) return std::move(mark).error();
  mark_ = *std::move(mark);
  if (auto written = mark_.write(holds_); !written) return written;
  const AtomicWrite how{0644, FileOwner{user_.uid, user_.gid}, false};
  return write_file(base_ + "/share/of-the-host", mounted_text() + "\n", how);
}

Result<MachineSpec> Site::new_machine() {
  MachineSpec spec;
  // None is the beginning of another.
  spec.name = "sc-" + cgroup_.substr(cgroup_.rfind('-') + 1) + "-" + padded(check_, 2) + "-" +
              padded(++made_, 4);
  spec.hostname = "check-" + std::to_string(check_) + "-" + std::to_string(made_);
  spec.work_dir = machines_dir() + "/" + spec.name;
  spec.cgroup = cgroup_ + "/" + spec.name;
  spec.job_id = holds_.lease_id;
  // The last range is the one that jobs get last.
  constexpr std::uint32_t kRange = 65536;
  spec.subid_first = config_.subid_first + config_.subid_count - kRange;
  spec.image = image_;
  spec.user = user_;
  spec.network = network_;
  spec.mounts.push_back({base_ + "/share", mount_target(), true, -1});
  if (auto made = make_directories(spec.work_dir, 0711); !made) return std::move(made).error();
  if (auto made = create_cgroup(spec.cgroup); !made) return std::move(made).error();
  const auto cpus = cpus_of_group(spec.cgroup);
  if (!cpus) return cpus.error();
  spec.cpus = *cpus;
  spec.cpu_count = count_cpu_list(*cpus);
  spec.memory_bytes = memory_mb_ << 20;
  return spec;
}

Result<std::vector<UniqueFd>> Site::open_mounts(MachineSpec& spec, const MachineSpec& honest) {
  std::vector<UniqueFd> opened;
  for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
    auto source = open_as_user(honest.user, honest.mounts.at(i).source);
    if (!source) return std::move(source).error();
    spec.mounts[i].source_fd = source->value();
    opened.push_back(*std::move(source));
  }
  return opened;
}

Result<void> Site::remove_machine(const MachineSpec& spec) const {
  auto removed = remove_tree(spec.work_dir, std::chrono::steady_clock::time_point::max(),
                             {spec.subid_first, spec.subid_count, spec.user.uid});
  remove_groups(spec.cgroup);
  return removed;
}

std::vector<MachineRef> Site::left_machines() const {
  std::vector<MachineRef> found;
  std::error_code problem;
  for (fs::directory_iterator at{machines_dir(), problem};
       !problem && at != fs::directory_iterator{}; at.increment(problem)) {
    const auto name = at->path().filename().string();
    if (name.starts_with("sc-")) found.push_back({name, at->path().string(), cgroup_ + "/" + name});
  }
  return found;
}

std::string Site::tear_down() {
  std::string problems;
  if (!cgroup_processes(cgroup_).empty()) {
    if (auto killed = kill_cgroup(cgroup_, 5s); !killed) problems = killed.error().message;
  }
  remove_groups(cgroup_);
  unmount_below(base_);
  if (!holds_.lease_file.empty()) {
    LeaseFile file{holds_.lease_file};
    auto released = file.release(holds_.lease_id, holds_.address);
    if (!released) problems = released.error().message;
  }
  // Whatever the backend has left in there, and whose it is, it is this run's own folder.
  if (auto removed = remove_tree(base_, std::chrono::steady_clock::time_point::max(),
                                 {0, std::numeric_limits<std::uint32_t>::max()});
      !removed)
    problems = removed.error().message;
  return problems;
}

}  // namespace cloud
