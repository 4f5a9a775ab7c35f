// SPDX-License-Identifier: Apache-2.0
#include "core/job/cgroup_tree.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// A level on the way down. One descriptor serves all: a tree may be deeper than a process can open.
struct Level {
  std::string name;
  std::vector<std::string> children;
};

bool read_children(int group, std::vector<std::string>& children) {
  UniqueFd again{::openat(group, ".", kFolder)};
  if (!again) return false;
  const std::unique_ptr<DIR, int (*)(DIR*)> open{::fdopendir(again.value()), ::closedir};
  if (!open) return false;
  // closedir(3) closes it.
  [[maybe_unused]] const int handed_over = again.release();
  errno = 0;
  while (const auto* entry = ::readdir(open.get())) {
    const std::string_view name{entry->d_name};
    if (entry->d_type == DT_DIR && name != "." && name != "..") children.emplace_back(name);
  }
  return errno == 0;
}

}  // namespace

bool visit_cgroups(const std::string& folder, const std::function<void(const CgroupVisit&)>& visit,
                   std::chrono::steady_clock::time_point deadline) {
  // Now and then, as the clock costs about as much as a group.
  constexpr unsigned kGroups = 64;
  UniqueFd current{::open(folder.c_str(), kFolder)};
  if (!current) return errno == ENOENT;
  bool all = true;
  std::vector<Level> levels;
  const auto enter = [&](std::string name) {
    Level level{std::move(name), {}};
    all = read_children(current.value(), level.children) && all;
    levels.push_back(std::move(level));
  };
  enter(folder.substr(folder.rfind('/') + 1));
  for (unsigned step = 0; !levels.empty(); ++step) {
    if (step % kGroups == 0 && std::chrono::steady_clock::now() >= deadline) return false;
    auto& level = levels.back();
    if (!level.children.empty()) {
      auto name = std::move(level.children.back());
      level.children.pop_back();
      UniqueFd child{::openat(current.value(), name.c_str(), kFolder)};
      if (!child) {
        all = false;
        continue;
      }
      current = std::move(child);
      enter(std::move(name));
      continue;
    }
    UniqueFd parent{::openat(current.value(), "..", kFolder)};
    // The group was removed with what is above it out of reach.
    if (!parent) return false;
    visit({current.value(), parent.value(), level.name});
    current = std::move(parent);
    levels.pop_back();
  }
  return all;
}

}  // namespace cloud
