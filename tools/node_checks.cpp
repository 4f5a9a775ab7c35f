// SPDX-License-Identifier: Apache-2.0
#include "tools/node_checks.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>

#include "core/address/lease_file.hpp"
#include "core/job/cgroup_hierarchy.hpp"
#include "core/machine/delegated_ids.hpp"
#include "core/machine/subid_ranges.hpp"
#include "core/system/access_list.hpp"
#include "core/system/trusted_path.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;

struct NetworkFileSystem {
  std::uint32_t magic;
  const char* name;
};
constexpr std::array kNetworkFileSystems{
    NetworkFileSystem{NFS_SUPER_MAGIC, "NFS"},   NetworkFileSystem{0x0BD00BD0, "Lustre"},
    NetworkFileSystem{0x47504653, "GPFS"},       NetworkFileSystem{0x19830326, "BeeGFS"},
    NetworkFileSystem{CEPH_SUPER_MAGIC, "Ceph"}, NetworkFileSystem{CIFS_SUPER_MAGIC, "CIFS"},
    NetworkFileSystem{SMB2_SUPER_MAGIC, "SMB"},  NetworkFileSystem{AFS_SUPER_MAGIC, "AFS"},
    NetworkFileSystem{V9FS_MAGIC, "9p"}};

// The prolog makes the folder: what counts is the nearest that is there.
std::string nearest_existing(std::string path) {
  while (path.size() > 1 && ::access(path.c_str(), F_OK) != 0) {
    path = fs::path{path}.parent_path().string();
  }
  return path;
}

void check_folder(const std::string& what, const std::string& path, bool shall_last,
                  Findings& findings) {
  const auto existing = nearest_existing(path);
  struct statfs system {};
  if (::statfs(existing.c_str(), &system) != 0) {
    findings.problem(what, os_error(Blame::node, existing, errno).message);
    return;
  }
  const auto magic = static_cast<std::uint32_t>(system.f_type);
  const auto* network =
      std::find_if(kNetworkFileSystems.begin(), kNetworkFileSystems.end(),
                   [&](const NetworkFileSystem& candidate) { return candidate.magic == magic; });
  if (network != kNetworkFileSystems.end()) {
    findings.problem(what, path + " is on " + network->name +
                               ", which other nodes share: choose a local folder");
    return;
  }
  if (::faccessat(AT_FDCWD, existing.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    findings.problem(what, os_error(Blame::node, "write in " + existing, errno).message +
                               "; mount it read-write");
    return;
  }
  if (auto trusted = require_trusted(existing); !trusted) {
    findings.problem(what, trusted.error().message);
    return;
  }
  const auto free_mib =
      static_cast<std::uint64_t>(system.f_bavail) * static_cast<std::uint64_t>(system.f_bsize) >>
      20;
  if (shall_last && magic == TMPFS_MAGIC) {
    findings.note(what, path +
                            " is a tmpfs: machines' disks are in memory, and what a reboot leaves "
                            "in lease files is not cleaned up; choose a folder on disk");
    return;
  }
  findings.ok(what, path + ", " + std::to_string(free_mib) + " MiB free");
}

Result<std::string> describe_leases(const PoolConfig& pool, Findings& findings) {
  if (auto trusted = require_trusted(pool.file); !trusted) return std::move(trusted).error();
  const LeaseFile file{pool.file};
  const auto table = file.read();
  if (!table) return table.error();
  // A change replaces the file, and its lock is beside it.
  const auto folder = fs::path{pool.file}.parent_path().string();
  for (const auto& path : {pool.file, folder}) {
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
      return os_error(Blame::site, "root shall be able to write " + path, errno);
    }
  }
  for (const auto& line : table->problems()) {
    findings.note("pool " + pool.name, line.where.text() + ": " + line.message);
  }
  const auto& leases = table->leases();
  const auto free =
      std::count_if(leases.begin(), leases.end(), [](const Lease& l) { return l.job_id == 0; });
  if (free == 0) {
    return Error{Blame::busy, pool.file + " has no free address (" + std::to_string(leases.size()) +
                                  " lines): jobs fail until one is freed; add lines"};
  }
  return std::to_string(free) + " of " + std::to_string(leases.size()) + " addresses free in " +
         pool.file;
}

// What gives whoever runs it more than they have: "" for a file that does not.
std::string privilege_of(const std::string& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  if ((status.st_mode & S_ISUID) != 0)
    return "a set-uid program of uid " + std::to_string(status.st_uid);
  if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
    return "a set-gid program of gid " + std::to_string(status.st_gid);
  }
  if (::lgetxattr(file.c_str(), "security.capability", nullptr, 0) > 0) {
    return "a program with capabilities (getcap)";
  }
  return {};
}

// Whether a folder keeps everybody but root out. A group other than root's has members.
bool is_closed(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || status.st_uid != 0) return false;
  const bool is_closed_to_group = status.st_gid == 0 || (status.st_mode & S_IXGRP) == 0;
  return (status.st_mode & S_IXOTH) == 0 && is_closed_to_group;
}

// A container's programs are files of the node as well: those that give rights would give them on
// the node.
std::string open_privileged_program(const ImageConfig& image) {
  struct statvfs system {};
  if (image.format != "directory" || ::statvfs(image.path.c_str(), &system) != 0 ||
      (system.f_flag & ST_NOSUID) != 0) {
    return {};
  }
  for (auto folder = fs::path{image.path}; folder.has_relative_path();
       folder = folder.parent_path()) {
    if (is_closed(folder.string())) return {};
  }
  std::error_code problem;
  const auto options = fs::directory_options::skip_permission_denied;
  for (const auto& entry : fs::recursive_directory_iterator{image.path, options, problem}) {
    const auto privilege = privilege_of(entry.path().string());
    if (!privilege.empty()) return entry.path().string() + ", " + privilege;
  }
  return {};
}

}  // namespace

// A file without a name is all that is made.
void check_access_lists(const std::string& run_dir, Findings& findings) {
  const auto folder = nearest_existing(run_dir);
  const UniqueFd file{::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)};
  if (!file) return;
  if (auto set = set_mode_with_reader(file.value(), 0400, 1); !set) {
    findings.problem("run_dir", folder + ": " + set.error().message);
  }
}

void check_folders(const SiteConfig& config, Findings& findings) {
  check_folder("state_dir", config.state_dir, true, findings);
  check_folder("run_dir", config.run_dir, false, findings);
  check_access_lists(config.run_dir, findings);
}

void check_pools(const SiteConfig& config, Findings& findings) {
  for (const auto& pool : config.pools) {
    const auto what = "pool " + pool.name;
    const auto bridge = "/sys/class/net/" + pool.bridge + "/bridge";
    if (::access(bridge.c_str(), F_OK) != 0) {
      findings.problem(what, "'" + pool.bridge + "' is no bridge of this node: ip link add " +
                                 pool.bridge + " type bridge, or name another in the pool");
    }
    const auto leases = describe_leases(pool, findings);
    if (leases) {
      findings.ok(what, "bridge " + pool.bridge + "; " + *leases);
    } else {
      findings.problem(what, leases.error().message);
    }
  }
}

void check_images(const SiteConfig& config, Findings& findings) {
  for (const auto& image : config.images) {
    auto good = require_trusted(image.path);
    if (good && !image.initrd.empty()) good = require_trusted(image.initrd);
    const auto open = good ? open_privileged_program(image) : std::string{};
    if (!open.empty()) {
      good = Error{Blame::site, "users of the node can run " + open +
                                    ": put the image into a folder of root's with mode 0700"};
    }
    findings.add("image " + image.name, good, image.path + " (" + image.format + ")");
  }
}

void check_stages(const SiteConfig& config, Findings& findings) {
  for (const auto* list : {&config.prolog, &config.epilog}) {
    for (const auto& stage : *list) {
      for (const auto& program : {stage.exec, stage.undo}) {
        if (program.empty()) continue;
        findings.add("stage " + stage.name, require_trusted(program), program);
      }
    }
  }
}

// Of those that people have, as far as this node can list them: they can log in, and are no
// service's.
std::string account_without_range(const SiteConfig& config) {
  constexpr uid_t kFirstOfPeople = 1000;
  std::string found;
  ::setpwent();
  while (const auto* account = ::getpwent()) {
    const std::string_view shell{account->pw_shell};
    const bool is_persons = account->pw_uid >= kFirstOfPeople && !shell.ends_with("/nologin") &&
                            !shell.ends_with("/false");
    if (!is_persons || !found.empty()) continue;
    if (auto range = subid_range_of(config, account->pw_uid, {}); !range) {
      found = range.error().message + " (account " + account->pw_name + ")";
    }
  }
  ::endpwent();
  return found;
}

void check_subids(const SiteConfig& config, Findings& findings) {
  std::string taken;
  ::setpwent();
  while (const auto* account = ::getpwent()) {
    if (is_subid(config, account->pw_uid) || is_subid(config, account->pw_gid)) {
      taken = std::string{"account "} + account->pw_name;
    }
  }
  ::endpwent();
  ::setgrent();
  while (const auto* group = ::getgrent()) {
    if (is_subid(config, group->gr_gid)) taken = std::string{"group "} + group->gr_name;
  }
  ::endgrent();
  const auto last = std::uint64_t{config.subid_first} + config.subid_count - 1;
  const auto range = std::to_string(config.subid_first) + " to " + std::to_string(last);
  if (taken.empty()) {
    findings.ok("subids", range + ", where no account is that this node can list");
  } else {
    findings.problem("subids", taken + " has an id from " + range +
                                   ", which machines get: choose other cloud.subid_first and "
                                   "subid_count");
  }
  if (auto ours = require_undelegated_subids(config); !ours) {
    findings.problem("subids", ours.error().message);
  }
  if (const auto map = read_subid_map(config); !map) {
    findings.problem("subids", map.error().message);
  } else if (const auto without = account_without_range(config); !without.empty()) {
    findings.note("subids", without);
  }
}

void check_cgroups(Findings& findings) {
  std::set<std::string> controllers;
  bool has_unified = false;
  for (const auto& hierarchy : cgroup_hierarchies()) {
    has_unified = has_unified || hierarchy.controllers.empty();
    controllers.insert(hierarchy.controllers.begin(), hierarchy.controllers.end());
  }
  if (controllers.count("memory") != 0) {
    std::string missing;
    for (const auto* name : {"cpuset", "freezer", "devices"}) {
      if (controllers.count(name) == 0) missing += std::string{" "} + name;
    }
    if (missing.empty()) {
      findings.ok("cgroup", "version 1");
    } else {
      findings.problem("cgroup",
                       "version 1 without" + missing + ": mount each below /sys/fs/cgroup");
    }
  } else if (has_unified) {
    findings.ok("cgroup", "version 2");
  } else {
    findings.problem("cgroup", "no control groups are mounted: mount cgroup2 at /sys/fs/cgroup");
  }
}

}  // namespace cloud
