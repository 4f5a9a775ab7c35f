// SPDX-License-Identifier: Apache-2.0
#include "enter/namespace_entry.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/system/local_socket.hpp"
#include "core/system/unique_fd.hpp"
#include "enter/pty_relay.hpp"
#include "enter/task_channel.hpp"
#include "enter/task_signals.hpp"

namespace cloud {
namespace {

constexpr int kNotStarted = 125;
constexpr std::size_t kWordsMax = 4096;  ///< bytes of what escort says

[[noreturn]] void refuse(const std::string& reason) {
  std::fprintf(stderr, "spank_cloud: error: %s\n", reason.c_str());
  ::_exit(kNotStarted);
}

// What escort says next; ends where it has gone.
Frame hear(int escort) {
  auto frame = receive_frame(escort, kWordsMax);
  if (!frame) refuse(frame.error().message);
  if (!*frame)
    refuse("the way into the machine broke: `journalctl -t escort` on the node says why");
  return std::move(**frame);
}

// Ends where nobody listens any more, with what they said before they went.
void tell(int escort, FrameKind kind, std::string_view bytes = {},
          std::span<const int> files = {}) {
  const auto told = send_frame(escort, kind, bytes, files);
  if (told) return;
  const auto last = hear(escort);
  refuse(last.kind == FrameKind::refused ? last.bytes : told.error().message);
}

void be_let_in(int escort) {
  tell(escort, FrameKind::go);
  const auto answer = hear(escort);
  if (answer.kind == FrameKind::refused) refuse(answer.bytes);
  if (answer.kind != FrameKind::joined) refuse("`escort` does not say what it was asked");
}

// Every descriptor that a program which we executed would have.
std::vector<int> files_to_hand_on() {
  std::vector<int> files;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", problem}) {
    const auto name = entry.path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) files.push_back(fd);
  }
  return files;
}

void hand_on_files(int escort) {
  const auto files = files_to_hand_on();
  for (std::size_t first = 0; first < files.size(); first += kFilesOfFrame) {
    const auto count = std::min(kFilesOfFrame, files.size() - first);
    std::string numbers;
    for (std::size_t i = first; i < first + count; ++i) {
      numbers += to_bytes(static_cast<std::uint32_t>(files[i]));
    }
    tell(escort, FrameKind::files, numbers, {&files[first], count});
  }
}

// Slurm's --mem-bind has set it for this process.
void hand_on_memory_policy(int escort) {
  constexpr unsigned long kNodesMax = 1024;
  int mode = 0;
  std::array<char, kNodesMax / 8> nodes{};
  if (::syscall(SYS_get_mempolicy, &mode, nodes.data(), kNodesMax, nullptr, 0) != 0) return;
  tell(escort, FrameKind::memory_policy,
       to_bytes(static_cast<std::uint32_t>(mode)) + std::string{nodes.data(), nodes.size()});
}

std::optional<PtyRelay> ask_for_terminal(int escort) {
  auto relay = PtyRelay::of_our_terminal();
  if (!relay) return relay;
  tell(escort, FrameKind::terminal);
  auto answer = hear(escort);
  if (answer.kind != FrameKind::terminal || answer.files.empty()) return std::nullopt;
  relay->connect(std::move(answer.files.front()));
  return relay;
}

// Passes on signals, keys and output until the task has ended; its wait status.
int stay_with_task(int escort, int signals, std::optional<PtyRelay>& relay) {
  for (;;) {
    std::array<pollfd, 4> wanted{pollfd{escort, POLLIN, 0}, pollfd{signals, POLLIN, 0},
                                 pollfd{-1, 0, 0}, pollfd{-1, 0, 0}};
    if (relay) std::ranges::copy(relay->wanted(), wanted.begin() + 2);
    if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
    if (relay) relay->pass({wanted[2], wanted[3]});
    if (wanted[1].revents != 0) {
      signalfd_siginfo signal{};
      if (::read(signals, &signal, sizeof signal) != sizeof signal) continue;
      const auto number = static_cast<int>(signal.ssi_signo);
      if (number == SIGWINCH && relay) {
        relay->pass_size();
      } else if (is_handed_on(number)) {
        // Where it has ended by now, the next frame says so.
        (void)send_frame(escort, FrameKind::signal, std::string(1, static_cast<char>(number)));
      }
    }
    if (wanted[0].revents == 0) continue;
    auto frame = receive_frame(escort, kWordsMax);
    if (relay) relay->finish();
    if (frame && *frame && (**frame).kind == FrameKind::refused) refuse((**frame).bytes);
    if (!frame || !*frame || (**frame).kind != FrameKind::ended) {
      refuse("the machine has ended while the task was running");
    }
    return static_cast<int>(number_at((**frame).bytes));
  }
}

}  // namespace

void run_in_namespaces(const std::string& dir, int escort, const TaskOrder& task, int script) {
  UniqueFd asked;
  if (escort < 0) {
    auto door = connect_to(dir, "door");
    if (!door) refuse("the machine's keeper lets nobody in: " + door.error().message);
    asked = *std::move(door);
    escort = asked.value();
  }
  be_let_in(escort);
  const sigset_t wanted = block_task_signals();
  const UniqueFd signals{::signalfd(-1, &wanted, SFD_CLOEXEC)};
  hand_on_files(escort);
  hand_on_memory_policy(escort);
  if (script >= 0) {
    tell(escort, FrameKind::script, to_bytes(static_cast<std::uint32_t>(script)));
  }
  // Before our terminal is raw: what goes wrong now is said on it.
  const auto request = serialise(request_of(task));
  if (!request) refuse(request.error().message);
  auto relay = ask_for_terminal(escort);
  tell(escort, FrameKind::task, *request);
  end_like(stay_with_task(escort, signals.value(), relay));
}

}  // namespace cloud
