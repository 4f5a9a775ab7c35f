// SPDX-License-Identifier: Apache-2.0
#include "core/machine/publisher.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "core/machine/machine_plan.hpp"
#include "core/system/access_list.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/harmless_text.hpp"
#include "core/system/program_folder.hpp"
#include "core/system/tree_removal.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

Publisher::Publisher(const SiteConfig& config, const JobRecord& record)
    : dir_{published_dir(record.run_dir.empty() ? config.run_dir : record.run_dir, record.node,
                         record.job_id)},
      uid_{record.uid} {
  state_.version = CLOUD_VERSION;
  state_.job_id = record.job_id;
  state_.uid = record.uid;
  if (record.request) {
    state_.type = record.request->type;
    state_.image = record.request->image;
    state_.run = to_string(record.request->run.value_or(config.default_run));
  }
  if (record.machine) {
    state_.machine = record.machine->name;
    state_.hostname = machine_hostname(record.node, record.job_id);
  }
  if (record.lease) state_.address = record.lease->address;
  if (record.phase == RecordPhase::failed) {
    state_.phase = MachinePhase::failed;
    state_.reason = record.failure;
  }
}

Result<void> Publisher::publish() const {
  if (auto made = make_folder(); !made) return made;
  // From the beginning: it waits until there is a machine to enter.
  if (auto made = make_access(); !made) return made;
  // A machine's console, a backend and a site's program have a say in these.
  auto shown = state_;
  shown.progress = harmless_line(state_.progress);
  shown.reason = harmless_line(state_.reason);
  // Not durable: after a crash of the node no reader is left.
  return write_file(dir_ + "/state", serialize(shown),
                    {.mode = 0400, .owner = {}, .durable = false, .reader = uid_});
}

// Who has a machine here is for root to know, and for that user: nobody else can list the jobs'
// folders, or look at the owners of what is in one.
Result<void> Publisher::make_folder() const {
  if (auto made = make_directories(dir_, 0711); !made) return made;
  const auto jobs = dir_.substr(0, dir_.rfind('/'));
  // An earlier release let everybody list it.
  if (::chmod(jobs.c_str(), 0711) != 0) return os_error(Blame::node, "chmod " + jobs, errno);
  const UniqueFd folder{::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!folder) return os_error(Blame::node, "open " + dir_, errno);
  auto set = set_mode_with_reader(folder.value(), 0700, uid_);
  if (!set) return std::move(set).error().within(dir_);
  return {};
}

Result<void> Publisher::make_access() const {
  // Not a script: /run, where the folder is by default, is often mounted noexec.
  const auto program = program_folder() + "/enter";
  const auto link = dir_ + "/access";
  if (::symlink(program.c_str(), link.c_str()) == 0 || errno == EEXIST) return {};
  return os_error(Blame::node, "make " + link, errno);
}

void Publisher::log(const std::string& line) const {
  const auto path = dir_ + "/log";
  UniqueFd file{::open(path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC)};
  if (!file && errno == ENOENT) {
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
    if (file && !set_mode_with_reader(file.value(), 0400, uid_)) return;
  }
  if (!file) return;
  std::array<char, 32> stamp{};
  const auto now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S%z ", &local);
  const auto text = stamp.data() + harmless_line(line) + "\n";
  // A log line that cannot be written is not worth failing a job for.
  [[maybe_unused]] const auto written = ::write(file.value(), text.data(), text.size());
}

Result<void> Publisher::remove() const {
  return remove_tree(dir_);
}

}  // namespace cloud
