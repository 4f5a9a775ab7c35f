// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/guest/task_files.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>

#include "core/machine/guest_request.hpp"

namespace cloud {
namespace {

constexpr std::size_t kTokenLength = 32;
constexpr const char* kRequest = ".request";
constexpr const char* kTaken = ".taken";
constexpr const char* kTask = ".task";
constexpr const char* kStatus = ".status";

// Bytes of the task's file that are locked: the first by what runs the task, for its life; the
// second shared by who sends a signal, and alone by who gives the process id back.
constexpr off_t kLife = 0;
constexpr off_t kSignals = 1;

// Memory first: a request holds an environment, and the machine's disk may be small or slow.
std::array<std::string, 3> places() {
  const auto user = std::to_string(::geteuid());
  return {"/dev/shm/spank-cloud-" + user, "/run/user/" + user + "/spank-cloud",
          "/tmp/spank-cloud-" + user};
}

bool is_private(const std::string& folder) {
  struct stat found {};
  return ::lstat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
         found.st_uid == ::geteuid() && (found.st_mode & 0077) == 0;
}

Error os_failure(const std::string& what, int number) {
  return os_error(Blame::node, what, number);
}

bool lock(int fd, off_t byte, short type, bool wait) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  int result = 0;
  do {
    result = ::fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_failure("cannot write " + path + " in the machine", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view bytes) {
  const auto draft = path + ".new";
  const UniqueFd fd{::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                           S_IRUSR | S_IWUSR)};
  if (!fd) return os_failure("cannot write " + draft + " in the machine", errno);
  auto written = write_all(fd.value(), bytes, draft);
  if (written && ::rename(draft.c_str(), path.c_str()) != 0) {
    written = os_failure("cannot write " + path + " in the machine", errno);
  }
  if (!written) ::unlink(draft.c_str());
  return written;
}

UniqueFd open_file(const std::string& path, int flags) {
  return UniqueFd{::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC)};
}

}  // namespace

Result<std::string> read_all(int fd, std::size_t limit) {
  constexpr std::size_t kStep = std::size_t{64} << 10;
  std::string bytes;
  for (;;) {
    const auto filled = bytes.size();
    bytes.resize(filled + kStep);
    const auto got = ::read(fd, bytes.data() + filled, kStep);
    if (got < 0 && errno != EINTR) return os_failure("cannot read a task's request", errno);
    bytes.resize(filled + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return bytes;
    if (bytes.size() > limit) return Error{Blame::user, "a task's request is too long"};
  }
}

Result<TaskFiles> TaskFiles::make() {
  std::array<unsigned char, kTokenLength / 2> noise{};
  if (::getrandom(noise.data(), noise.size(), 0) != static_cast<ssize_t>(noise.size())) {
    return os_failure("cannot make a task's token in the machine", errno);
  }
  std::string token;
  for (const auto byte : noise) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    token += kDigits[byte >> 4U];
    token += kDigits[byte & 15U];
  }
  int failure = 0;
  for (const auto& place : places()) {
    if (::mkdir(place.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
      failure = errno;
      continue;
    }
    if (is_private(place)) return TaskFiles{place + '/' + token, token};
    failure = EPERM;
  }
  return os_failure("cannot make a folder for tasks in /dev/shm, /run/user or /tmp of the machine",
                    failure);
}

Result<TaskFiles> TaskFiles::find(std::string_view token) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (token.size() == kTokenLength && std::ranges::all_of(token, is_digit)) {
    for (const auto& place : places()) {
      if (!is_private(place)) continue;
      TaskFiles files{place + '/' + std::string{token}, std::string{token}};
      for (const auto* suffix : {kRequest, kTask, kStatus}) {
        if (::access(files.file(suffix).c_str(), F_OK) == 0) return files;
      }
    }
  }
  return Error{Blame::internal, "no such task in the machine"};
}

Result<void> TaskFiles::write_request(std::string_view bytes) const {
  return write_file(file(kRequest), bytes);
}

Result<std::string> TaskFiles::take_request() {
  claim_.reset(
      ::open(file(kTask).c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!claim_) return os_failure("cannot write " + file(kTask) + " in the machine", errno);
  if (!lock(claim_.value(), kLife, F_WRLCK, false) ||
      ::rename(file(kRequest).c_str(), file(kTaken).c_str()) != 0) {
    return Error{Blame::internal, "this task was started before"};
  }
  const auto fd = open_file(file(kTaken), O_RDONLY);
  // It holds the user's environment, and memory.
  ::unlink(file(kTaken).c_str());
  if (!fd) return os_failure("cannot read a task's request in the machine", errno);
  return read_all(fd.value(), kGuestRequestMax);
}

Result<void> TaskFiles::write_group(pid_t group) const {
  return write_all(claim_.value(), std::to_string(group), file(kTask));
}

Result<void> TaskFiles::forbid_signals() const {
  if (lock(claim_.value(), kSignals, F_WRLCK, true)) return {};
  return os_failure("cannot lock " + file(kTask) + " in the machine", errno);
}

Result<void> TaskFiles::write_status(const std::string& text) const {
  auto written = write_file(file(kStatus), text + '\n');
  // Who waits in send() finds the status, and does without.
  static_cast<void>(lock(claim_.value(), kSignals, F_UNLCK, false));
  return written;
}

Result<void> TaskFiles::send(int number) const {
  const auto task = open_file(file(kTask), O_RDONLY);
  if (!task) return Error{Blame::internal, "this task has not started yet"};
  if (!lock(task.value(), kSignals, F_RDLCK, true)) {
    return os_failure("cannot lock " + file(kTask) + " in the machine", errno);
  }
  const auto now = status();
  if (!now) return now.error();
  if (*now != "running") return Error{Blame::user, "this task has ended (" + *now + ")"};
  const auto text = read_all(task.value(), kTokenLength);
  if (!text) return text.error();
  pid_t group = 0;
  std::from_chars(text->data(), text->data() + text->size(), group);
  if (group <= 1) return Error{Blame::internal, "this task has not started yet"};
  // Until its first instructions have run it has no group of its own.
  if (::kill(-group, number) == 0 || (errno == ESRCH && ::kill(group, number) == 0)) return {};
  return os_failure("cannot send signal " + std::to_string(number) + " to the task", errno);
}

Result<std::string> TaskFiles::status() const {
  if (const auto fd = open_file(file(kStatus), O_RDONLY)) {
    auto text = read_all(fd.value(), kTokenLength);
    if (text && !text->empty() && text->back() == '\n') text->pop_back();
    return text;
  }
  if (::access(file(kRequest).c_str(), F_OK) == 0) return std::string{"waiting"};
  const auto task = open_file(file(kTask), O_RDONLY);
  if (!task) return Error{Blame::internal, "no such task in the machine"};
  if (!lock(task.value(), kLife, F_RDLCK, false)) return std::string{"running"};
  // It may have written its status and ended since the first look.
  if (::access(file(kStatus).c_str(), F_OK) == 0) return status();
  return std::string{"lost"};
}

void TaskFiles::remove() const {
  for (const auto* suffix : {kRequest, kTaken, kTask, kStatus}) ::unlink(file(suffix).c_str());
}

}  // namespace cloud
