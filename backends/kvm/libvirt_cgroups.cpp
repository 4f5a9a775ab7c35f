// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/libvirt_cgroups.hpp"

#include <filesystem>
#include <vector>

namespace cloud::kvm {
namespace {

namespace fs = std::filesystem;

// rmdir(2) takes no group that holds a process, so whatever is not left over stays.
void remove_group(const fs::path& group) {
  std::error_code problem;
  std::vector<fs::path> below;
  for (const auto& entry : fs::directory_iterator{group, problem}) {
    if (entry.is_directory(problem)) below.push_back(entry.path());
  }
  for (const auto& path : below) remove_group(path);
  fs::remove(group, problem);
}

}  // namespace

void remove_libvirt_cgroups(const std::string& machine) {
  // "qemu-3-NAME.libvirt-qemu"; with systemd, libvirt's groups are scopes, which systemd removes.
  const auto end = "-" + machine + ".libvirt-qemu";
  std::error_code problem;
  std::vector<fs::path> roots{"/sys/fs/cgroup"};
  for (const auto& entry : fs::directory_iterator{"/sys/fs/cgroup", problem}) {
    roots.push_back(entry.path());
  }
  for (const auto& root : roots) {
    for (const auto& entry : fs::directory_iterator{root / "machine", problem}) {
      const auto name = entry.path().filename().string();
      const bool is_its = name.rfind("qemu-", 0) == 0 && name.size() > end.size() &&
                          name.compare(name.size() - end.size(), end.size(), end) == 0;
      if (is_its) remove_group(entry.path());
    }
  }
}

}  // namespace cloud::kvm
