// SPDX-License-Identifier: Apache-2.0
#include "core/machine/console_relay.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/machine/last_line.hpp"
#include "core/system/access_list.hpp"
#include "core/system/local_socket.hpp"

namespace cloud {
namespace {

constexpr std::size_t kKept = kConsoleMax / 2;  ///< what stays of a file that is full
constexpr std::size_t kGreeting = 2048;         ///< what a new reader is shown of the past
constexpr std::size_t kReadersMax = 8;

// The file as a ring without a seam: when it is full, its newer half moves to the front.
void keep(int file, const char* data, std::size_t size) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return;
  auto end = static_cast<std::uint64_t>(status.st_size);
  if (end + size > kConsoleMax) {
    std::vector<char> newer(std::min<std::uint64_t>(kKept, end));
    const auto count =
        ::pread(file, newer.data(), newer.size(), static_cast<off_t>(end - newer.size()));
    if (count < 0 || ::ftruncate(file, 0) != 0) return;
    end = static_cast<std::uint64_t>(
        std::max<ssize_t>(::pwrite(file, newer.data(), static_cast<std::size_t>(count), 0), 0));
  }
  // A full disk costs the file its newest bytes and nothing else.
  [[maybe_unused]] const auto written = ::pwrite(file, data, size, static_cast<off_t>(end));
}

struct Relay {
  UniqueFd console, file, listener;
  std::uint64_t* counter = nullptr;
  std::vector<UniqueFd> readers;

  void greet(UniqueFd reader) {
    struct stat status {};
    std::array<char, kGreeting> past{};
    if (readers.size() >= kReadersMax || ::fstat(file.value(), &status) != 0) return;
    const auto from = std::max<off_t>(status.st_size - static_cast<off_t>(kGreeting), 0);
    const auto count = ::pread(file.value(), past.data(), past.size(), from);
    if (count > 0) {
      (void)::send(reader.value(), past.data(), static_cast<std::size_t>(count),
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    readers.push_back(std::move(reader));
  }

  // False at the console's end.
  bool pass_output() {
    std::array<char, 16384> buffer{};
    const auto count = ::read(console.value(), buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (count <= 0) return false;
    const auto size = static_cast<std::size_t>(count);
    std::atomic_ref{*counter}.fetch_add(size);
    keep(file.value(), buffer.data(), size);
    // Who does not read is let go: the machine waits for nobody.
    readers.erase(std::remove_if(readers.begin(), readers.end(),
                                 [&](const UniqueFd& reader) {
                                   return ::send(reader.value(), buffer.data(), size,
                                                 MSG_NOSIGNAL | MSG_DONTWAIT) != count;
                                 }),
                  readers.end());
    return true;
  }

  // False where the reader has gone.
  bool pass_input(const UniqueFd& reader) {
    std::array<char, 4096> buffer{};
    const auto count = ::recv(reader.value(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EINTR || errno == EAGAIN;
    if (count == 0) return false;
    // What the machine does not take is lost, as on a serial line.
    (void)::send(console.value(), buffer.data(), static_cast<std::size_t>(count),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    return true;
  }

  void run() {
    for (;;) {
      std::vector<pollfd> wanted{{console.value(), POLLIN, 0}, {listener.value(), POLLIN, 0}};
      for (const auto& reader : readers) wanted.push_back({reader.value(), POLLIN, 0});
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
      std::vector<UniqueFd> stay;
      for (std::size_t i = 0; i < readers.size(); ++i) {
        if (wanted[i + 2].revents == 0 || pass_input(readers[i]))
          stay.push_back(std::move(readers[i]));
      }
      readers = std::move(stay);
      if (wanted[1].revents != 0) {
        if (UniqueFd reader{::accept4(listener.value(), nullptr, nullptr, SOCK_CLOEXEC)}) {
          greet(std::move(reader));
        }
      }
      if (wanted[0].revents != 0 && !pass_output()) return;
    }
  }
};

bool become(std::uint32_t id) {
  return ::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, id, id, id) == 0 &&
         ::syscall(SYS_setresuid, id, id, id) == 0;
}

// The descriptors of the keeper that are not the relay's: the record's lock, for one.
void close_others(Relay& relay) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  int low = 3;
  for (auto* fd : {&relay.console, &relay.file, &relay.listener}) {
    // First out of the way of the places that they are going to have.
    fd->reset(::fcntl(fd->value(), F_DUPFD_CLOEXEC, 16));
  }
  for (auto* fd : {&relay.console, &relay.file, &relay.listener}) {
    fd->reset(::dup3(fd->value(), low++, O_CLOEXEC));
  }
  ::syscall(SYS_close_range, static_cast<unsigned>(low), ~0U, 0U);
}

}  // namespace

std::string console_file(const std::string& dir) {
  return dir + "/console";
}

std::string console_socket(const std::string& dir) {
  return dir + "/console.sock";
}

void ConsoleRelay::Unmap::operator()(std::uint64_t* counter) const noexcept {
  ::munmap(counter, sizeof *counter);
}

Result<ConsoleRelay> ConsoleRelay::start(const std::string& dir, const MachineUser& user,
                                         std::uint32_t id, UniqueFd console) {
  ConsoleRelay made;
  made.dir_ = dir;
  void* shared = ::mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return os_error(Blame::node, "share a counter", errno);
  made.counter_.reset(static_cast<std::uint64_t*>(shared));

  Relay relay;
  relay.counter = made.counter_.get();
  relay.console = std::move(console);
  const auto path = console_file(dir);
  ::unlink(path.c_str());
  relay.file.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
  if (!relay.file) return os_error(Blame::node, "make " + path, errno);
  // Root's, so that its bound is kept: the relay writes by a descriptor that nobody else has.
  if (auto set = set_mode_with_reader(relay.file.value(), 0400, user.uid); !set)
    return std::move(set).error().within(path);
  auto listener = listen_at(dir, "console.sock");
  if (!listener) return std::move(listener).error();
  relay.listener = *std::move(listener);
  const auto socket = console_socket(dir);
  if (::chmod(socket.c_str(), 0600) != 0 || ::chown(socket.c_str(), user.uid, user.gid) != 0) {
    return os_error(Blame::node, "change the owner of " + socket, errno);
  }
  // JUSTIFICATION: the console shall go on when the keeper waits, and shall not be root's.
  const pid_t pid = ::fork();
  if (pid < 0) return os_error(Blame::node, "fork for the console", errno);
  if (pid == 0) {
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
    close_others(relay);
    const bool is_machines = become(id);
    // Where a site lets processes that have changed their ids be dumped, others of that id could
    // trace it.
    ::prctl(PR_SET_DUMPABLE, 0);
    if (is_machines) relay.run();
    ::_exit(0);
  }
  return made;
}

std::uint64_t ConsoleRelay::bytes() const noexcept {
  return std::atomic_ref{*counter_}.load();
}

std::string ConsoleRelay::last_line() const {
  return last_line_of(console_file(dir_));
}

}  // namespace cloud
