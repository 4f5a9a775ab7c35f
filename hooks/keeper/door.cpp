// SPDX-License-Identifier: Apache-2.0
#include "hooks/keeper/door.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "core/job/cgroup.hpp"
#include "core/log.hpp"
#include "core/system/local_socket.hpp"
#include "core/system/program_folder.hpp"
#include "core/system/root_program.hpp"
#include "enter/task_channel.hpp"

namespace cloud {
namespace {

constexpr const char* kName = "door";
// Each is a process that is root's until it is let go.
constexpr std::size_t kInsideMax = 64;
constexpr unsigned kStrangersTold = 20;

// As escort says it. A socket takes that much at once, or the other side does not read.
void send_refusal(int connection, const std::string& message) {
  timeval at_once{0, 1};
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &at_once, sizeof at_once);
  (void)send_frame(connection, FrameKind::refused, message);
}

}  // namespace

Result<Door> Door::open(const std::string& dir, std::uint64_t job_id, uid_t uid,
                        std::string cgroup) {
  Door made;
  made.dir_ = dir;
  made.job_id_ = job_id;
  made.uid_ = uid;
  made.cgroup_ = std::move(cgroup);
  auto listener = listen_at(dir, kName);
  if (!listener) return std::move(listener).error();
  made.listener_ = *std::move(listener);
  // Who has gone again by the time that we look must not make the keeper wait for the next one.
  if (::fcntl(made.listener_.value(), F_SETFL, O_NONBLOCK) != 0) {
    return os_error(Blame::node, "listen at the door of " + dir, errno);
  }
  const auto path = dir + "/" + kName;
  if (::chmod(path.c_str(), 0600) != 0 || ::chown(path.c_str(), uid, 0) != 0) {
    return os_error(Blame::node, "change the owner of " + path, errno);
  }
  return made;
}

void Door::answer() {
  const UniqueFd connection{::accept4(listener_.value(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!connection) return;
  ucred asker{};
  socklen_t size = sizeof asker;
  if (::getsockopt(connection.value(), SOL_SOCKET, SO_PEERCRED, &asker, &size) != 0) return;
  forget_ended();
  if (asker.uid != uid_) {
    // Nobody fills the log by knocking.
    if (++strangers_ > kStrangersTold) return;
    log_line(LogLevel::warn, "process " + std::to_string(asker.pid) + " of uid " +
                                 std::to_string(asker.uid) +
                                 " is not let into the machine of uid " + std::to_string(uid_));
    return;
  }
  if (auto let = let_in(connection.value(), asker.pid); !let) {
    send_refusal(connection.value(), let.error().message);
  }
}

Result<void> Door::let_in(int connection, pid_t asker) {
  if (escorts_.size() >= kInsideMax) {
    return Error{Blame::user, std::to_string(kInsideMax) +
                                  " commands are in the machine by hand already: no more at once"};
  }
  if (auto made = create_cgroup(cgroup_); !made) return made;
  auto started = start_root_program(
      {program_folder() + "/escort", "--dir", dir_, "--job", std::to_string(job_id_), "--uid",
       std::to_string(uid_), "--for", std::to_string(asker), "--cgroup", cgroup_},
      connection);
  if (!started) return std::move(started).error();
  escorts_.push_back(*started);
  return {};
}

void Door::forget_ended() {
  std::erase_if(escorts_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
}

}  // namespace cloud
