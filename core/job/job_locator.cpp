// SPDX-License-Identifier: Apache-2.0
#include "core/job/job_locator.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

constexpr const char* kFolder = CLOUD_RUN_DIR "/records";
// Root's alone: who has a machine on this node is not for everybody to know.
constexpr const char* kJobs = "/jobs";

constexpr const char* kStates = "/state_dir";
constexpr const char* kPublished = "/run_dir";

std::string target_of(const std::string& link) {
  std::array<char, PATH_MAX> target{};
  const auto length = ::readlink(link.c_str(), target.data(), target.size() - 1);
  return length <= 0 ? std::string{} : std::string{target.data(), static_cast<std::size_t>(length)};
}

// As one component of a path.
std::string flattened(std::string path) {
  constexpr std::size_t kLongest = 200;
  std::replace(path.begin(), path.end(), '/', '-');
  // The end tells more than the beginning.
  if (path.size() > kLongest) path.erase(0, path.size() - kLongest);
  return path;
}

}  // namespace

JobLocator::JobLocator(const std::string& config_file, const std::string& node)
    : folder_{std::string{kFolder} + "/" + node.substr(0, 54) + flattened(config_file)} {}

std::string JobLocator::link(std::uint64_t job_id) const {
  return folder_ + kJobs + "/" + std::to_string(job_id);
}

std::string JobLocator::earlier_link(std::uint64_t job_id) const {
  return folder_ + "/" + std::to_string(job_id);
}

Result<void> JobLocator::make_folder() const {
  if (auto made = make_directories(folder_, 0755); !made) return made;
  // An earlier release let everybody list it, and kept the jobs' links in it.
  for (const auto& folder : {std::string{kFolder}, folder_}) {
    if (::chmod(folder.c_str(), 0711) != 0) return os_error(Blame::node, "chmod " + folder, errno);
  }
  return make_directories(folder_ + kJobs, 0700);
}

Result<void> JobLocator::remember(std::uint64_t job_id, const std::string& job_path) const {
  const auto path = link(job_id);
  if (auto made = make_folder(); !made) return made;
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) {
    if (::symlink(job_path.c_str(), path.c_str()) == 0) return {};
  }
  return os_error(Blame::node, "make the link " + path, errno);
}

std::optional<std::string> JobLocator::find(std::uint64_t job_id) const {
  auto target = target_of(link(job_id));
  if (target.empty()) target = target_of(earlier_link(job_id));
  struct stat status {};
  if (target.empty() || ::stat(target.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return std::nullopt;
  }
  return target;
}

void JobLocator::forget(std::uint64_t job_id) const {
  ::unlink(link(job_id).c_str());
  ::unlink(earlier_link(job_id).c_str());
}

void JobLocator::remember_folders(const Folders& folders) const {
  for (const auto& [name, target] :
       {std::pair{kStates, &folders.state_dir}, {kPublished, &folders.run_dir}}) {
    const auto path = folder_ + name;
    if (target_of(path) == *target) continue;
    // Two prologs at once write the same.
    if (!make_folder()) return;
    const auto fresh = path + "." + std::to_string(::getpid());
    if (::symlink(target->c_str(), fresh.c_str()) != 0 ||
        ::rename(fresh.c_str(), path.c_str()) != 0) {
      ::unlink(fresh.c_str());
    }
  }
}

std::optional<JobLocator::Folders> JobLocator::last_folders() const {
  Folders folders{target_of(folder_ + kStates), target_of(folder_ + kPublished)};
  if (folders.state_dir.empty() || folders.run_dir.empty()) return std::nullopt;
  return folders;
}

}  // namespace cloud
