// SPDX-License-Identifier: Apache-2.0
#include "core/job/record_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>

#include "core/system/atomic_file.hpp"
#include "core/system/tree_removal.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRecordLimit = 4 << 20;

bool is_same_folder(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Result<std::optional<JobRecord>> read_record(const std::string& job_path) {
  const auto file = job_path + "/record.json";
  const auto text = read_file(file, kRecordLimit);
  if (!text) {
    if (text.error().os_errno == ENOENT) return std::optional<JobRecord>{};
    return text.error();
  }
  auto record = record_from_json(*text);
  if (!record) return std::move(record).error().within(file);
  return std::optional<JobRecord>{*std::move(record)};
}

}  // namespace

Result<void> lock_exclusively(int fd, const std::string& what, std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return os_error(Blame::node, "lock " + what, errno);
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{Blame::node, "another program has held the lock of " + what + " for " +
                                    std::to_string(wait.count() / 1000) + " s"};
    }
    std::this_thread::sleep_for(5ms);
  }
}

Result<std::optional<JobRecord>> LockedJob::load() const {
  return read_record(path_);
}

Result<void> LockedJob::save(const JobRecord& record) const {
  return write_file_at(fd_.value(), "record.json", to_json(record), {.mode = 0600, .owner = {}});
}

Result<void> LockedJob::quarantine() const {
  const auto parent = path_.substr(0, path_.rfind("/jobs/"));
  if (auto made = make_directories(parent + "/quarantine", 0700); !made) return made;
  const auto copy = parent + "/quarantine/" + path_.substr(path_.rfind('/') + 1) + "-" +
                    std::to_string(std::time(nullptr)) + ".json";
  if (::rename((path_ + "/record.json").c_str(), copy.c_str()) != 0 && errno != ENOENT) {
    return os_error(Blame::node, "move " + path_ + "/record.json to " + copy, errno);
  }
  return {};
}

Result<void> LockedJob::forget() const {
  // The record goes first: a folder without a record is an empty job, whatever else is left in it.
  if (::unlinkat(fd_.value(), "record.json", 0) != 0 && errno != ENOENT) {
    return os_error(Blame::node, "remove " + path_ + "/record.json", errno);
  }
  return remove_tree(path_);
}

RecordStore::RecordStore(std::string state_dir, std::string node)
    : state_dir_{std::move(state_dir)}, root_{state_dir_ + "/" + std::move(node)} {}

std::string RecordStore::job_path(std::uint64_t job_id) const {
  return root_ + "/jobs/" + std::to_string(job_id);
}

std::string RecordStore::machines_dir() const {
  return root_ + "/machines";
}

std::string RecordStore::trash_dir() const {
  return root_ + "/trash";
}

std::string RecordStore::unfinished_dir() const {
  return root_ + "/unfinished";
}

bool RecordStore::knows(std::uint64_t job_id) const {
  return ::access(job_path(job_id).c_str(), F_OK) == 0;
}

Result<std::optional<LockedJob>> RecordStore::lock(std::uint64_t job_id,
                                                   std::chrono::milliseconds wait) const {
  const auto path = job_path(job_id);
  for (;;) {
    UniqueFd folder{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!folder) {
      if (errno == ENOENT) return std::optional<LockedJob>{};
      return os_error(Blame::node, "open " + path, errno);
    }
    if (auto locked = lock_exclusively(folder.value(), path, wait); !locked) return locked.error();
    // Who held the lock before may have removed the folder, and somebody else made it again.
    if (is_same_folder(folder.value(), path)) {
      return std::optional<LockedJob>{LockedJob{path, std::move(folder)}};
    }
  }
}

Result<LockedJob> RecordStore::lock_or_create(std::uint64_t job_id,
                                              std::chrono::milliseconds wait) const {
  // Machines' directories are walked by the machine's own root, who is a stranger on the host.
  if (auto made = make_directories(root_ + "/machines", 0711); !made) return made.error();
  if (auto made = make_directories(root_ + "/jobs", 0700); !made) return made.error();
  for (;;) {
    if (auto made = make_directories(job_path(job_id), 0700); !made) return made.error();
    auto locked = lock(job_id, wait);
    if (!locked) return std::move(locked).error();
    if (*locked) return *std::move(*locked);
  }
}

std::vector<std::uint64_t> RecordStore::jobs() const {
  std::vector<std::uint64_t> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder{::opendir((root_ + "/jobs").c_str()),
                                                   ::closedir};
  if (!folder) return found;
  while (const auto* entry = ::readdir(folder.get())) {
    const std::string_view name{entry->d_name};
    std::uint64_t job_id = 0;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), job_id);
    if (failure == std::errc{} && end == name.data() + name.size()) found.push_back(job_id);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<JobRecord> RecordStore::records() const {
  std::vector<JobRecord> found;
  for (const auto job_id : jobs()) {
    if (auto record = peek(job_id); record && *record) found.push_back(**std::move(record));
  }
  return found;
}

Result<std::optional<JobRecord>> RecordStore::peek(std::uint64_t job_id) const {
  return read_record(job_path(job_id));
}

std::chrono::system_clock::time_point RecordStore::changed(std::uint64_t job_id) const {
  struct stat status {};
  if (::stat(job_path(job_id).c_str(), &status) != 0) return {};
  return std::chrono::system_clock::from_time_t(status.st_mtime);
}

std::vector<JobRecord> RecordStore::records_of_host() const {
  std::vector<JobRecord> found;
  std::error_code problem;
  for (const auto& node : std::filesystem::directory_iterator{state_dir_, problem}) {
    if (!node.is_directory(problem)) continue;
    auto records = RecordStore{state_dir_, node.path().filename().string()}.records();
    std::move(records.begin(), records.end(), std::back_inserter(found));
  }
  return found;
}

Result<UniqueFd> RecordStore::lock_host(std::chrono::milliseconds wait) const {
  const auto path = state_dir_ + "/lock";
  UniqueFd file{::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) return os_error(Blame::node, "open " + path, errno);
  if (auto locked = lock_exclusively(file.value(), path, wait); !locked) return locked.error();
  return file;
}

}  // namespace cloud
