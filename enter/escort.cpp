// SPDX-License-Identifier: Apache-2.0
//
// Takes a task into its job's machine. It is root until it is there, since the machine belongs to
// nobody who could log in, and it is the job's user from then on: as root it reads nothing that the
// user says but one word, and whom it takes is what the kernel says of the process that asked.
//
//   escort --dir DIR --job ID --uid UID
//       for the process that started it: a step's task
//   escort --dir DIR --job ID --uid UID --for PID --cgroup GROUP
//       for another, in that group: `cloudctl enter`
//
// Descriptor 3 is the connection to `enter`. It is started by the SPANK plugin in the task's own
// process before that becomes the user's, and by the keeper.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <spank-cloud/base/trusted_path.hpp>
#include <string>
#include <string_view>

#include "core/job/published_state.hpp"
#include "core/log.hpp"
#include "core/system/unique_fd.hpp"
#include "enter/inheritance.hpp"
#include "enter/machine_join.hpp"
#include "enter/task_channel.hpp"
#include "enter/task_in_machine.hpp"

namespace {

using namespace cloud;

constexpr int kConnection = 3;
constexpr int kNotStarted = 125;
/// That it is root after it was asked; milliseconds are usual.
constexpr unsigned kRootSeconds = 30;

struct Order {
  std::string dir;  ///< of the job's published state
  std::uint64_t job_id = 0;
  uid_t uid = 0;       ///< the job's user
  pid_t asker = 0;     ///< for whom
  std::string cgroup;  ///< "" for the asker's own groups
};

std::optional<Order> order_of(int argc, char** argv) {
  Order order;
  order.asker = ::getppid();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option{argv[i]};
    const std::string_view value{argv[i + 1]};
    if (option == "--dir") order.dir = value;
    if (option == "--cgroup") order.cgroup = value;
    const auto* end = value.data() + value.size();
    if (option == "--job") std::from_chars(value.data(), end, order.job_id);
    if (option == "--uid") std::from_chars(value.data(), end, order.uid);
    if (option == "--for") std::from_chars(value.data(), end, order.asker);
  }
  const bool is_good = argc % 2 == 1 && order.dir.starts_with('/') && order.job_id != 0 &&
                       order.uid != 0 && order.asker > 1;
  return is_good ? std::optional{order} : std::nullopt;
}

// Whether there is something to do: the asker may end first, and somebody else keep its end of the
// connection open.
bool is_wanted(int asker) {
  std::array<pollfd, 2> wanted{pollfd{kConnection, POLLIN, 0}, pollfd{asker, POLLIN, 0}};
  while (::poll(wanted.data(), wanted.size(), -1) < 0) {
  }
  // From here until it is the user's, whatever holds it up ends it.
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(kRootSeconds);
  return wanted[1].revents == 0 && receive_go(kConnection);
}

bool is_alive(const UniqueFd& process) {
  pollfd ended{process.value(), POLLIN, 0};
  return ::poll(&ended, 1, 0) == 0;
}

void report(const PublishedState& state, const Order& order, const Error* refused) {
  const auto who =
      "process " + std::to_string(order.asker) + " of uid " + std::to_string(state.uid);
  const auto where = "machine " + state.machine;
  if (refused == nullptr) {
    log_line(LogLevel::info, who + " enters " + where + " as uid " + std::to_string(state.uid));
  } else {
    log_line(LogLevel::warn, who + " is not let into " + where + ": " + refused->message);
  }
  // It is root's connection to the system's log.
  ::closelog();
}

// From root on the node to the door of the machine.
Result<void> go_in(const PublishedState& state, const Order& order, const Inheritance& inherited) {
  if (auto moved = order.cgroup.empty() ? join_groups(inherited.groups) : join_group(order.cgroup);
      !moved) {
    return moved;
  }
  if (auto taken = take_on(inherited); !taken) return taken;
  if (auto left = leave_keyring(); !left) return left;
  if (auto taken = take_groups(inherited.identity); !taken) return taken;
  return join_machine(state);
}

// Root's words of the job, or why there are none to go by: who may write them would choose where
// root goes.
Result<PublishedState> state_of(const Order& order) {
  const auto file = order.dir + "/state";
  const auto trusted = open_trusted(file);
  if (trusted.fd < 0) return Error{Blame::site, "the machine's state: " + trusted.problem};
  ::close(trusted.fd);
  auto state = read_published_state(order.dir);
  if (!state) return state;
  if (state->job_id != order.job_id || state->uid != order.uid) {
    return Error{Blame::internal, file + " is of another job"};
  }
  if (state->phase != MachinePhase::ready || state->entry != MachineEntry::namespaces) {
    return Error{Blame::node, "the machine is not there to be entered"};
  }
  return state;
}

int refuse(const Error& error) {
  (void)send_frame(kConnection, FrameKind::refused, error.message);
  return kNotStarted;
}

int escort(const Order& order) {
  UniqueFd asker{static_cast<int>(::syscall(SYS_pidfd_open, order.asker, 0))};
  if (!asker || !is_wanted(asker.value())) return kNotStarted;
  const auto state = state_of(order);
  if (!state) return refuse(state.error());
  log_as("escort", state->job_id);
  // Who asks is looked at while it is there: the number cannot come to mean another in between.
  auto inherited = inheritance_of(order.asker, state->uid);
  if (inherited && !is_alive(asker)) inherited = Error{Blame::node, "the task has ended"};
  if (!inherited) {
    report(*state, order, &inherited.error());
    return refuse(inherited.error());
  }
  // Nothing of root's is open in a process that is the user's.
  asker.reset();
  // Said before, as the system's log is out of reach in the machine.
  report(*state, order, nullptr);
  if (auto in = go_in(*state, order, *inherited); !in) {
    report(*state, order, &in.error());
    return refuse(in.error());
  }
  // In the machine by now, so that nothing is said but to `enter`.
  if (auto dropped = drop_to(inherited->identity); !dropped) return refuse(dropped.error());
  ::alarm(0);
  if (!send_frame(kConnection, FrameKind::joined)) return kNotStarted;
  return run_task_for(kConnection, *inherited);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view{argv[1]} == "--version") {
    std::puts(CLOUD_VERSION);
    return 0;
  }
  ::prctl(PR_SET_DUMPABLE, 0);
  ::fcntl(kConnection, F_SETFD, FD_CLOEXEC);
  const auto order = order_of(argc, argv);
  if (!order || ::geteuid() != 0) {
    std::fprintf(stderr, "usage: escort --dir DIR [--for PID --cgroup GROUP], by spank-cloud\n");
    return kNotStarted;
  }
  return escort(*order);
}
