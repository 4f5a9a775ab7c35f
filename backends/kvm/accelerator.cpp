// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/accelerator.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>

namespace cloud::kvm {
namespace {

using sdk::Deadline;
using sdk::Descriptor;

constexpr const char* kDevice = "/dev/kvm";
constexpr std::int64_t kProbeSeconds = 10;

std::string content_of(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::string boot_id() {
  auto text = content_of("/proc/sys/kernel/random/boot_id");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Ends with the caller, whose death nobody else would notice.
[[noreturn]] void become_emulator(const AcceleratorProbe& probe, const std::string& kernel,
                                  int serial) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, 0);
  ::dup2(serial, 1);
  ::dup2(null, 2);
  const char* const argv[] = {probe.emulator.c_str(),
                              "-accel",
                              "kvm",
                              "-cpu",
                              "host",
                              "-m",
                              "128",
                              "-nodefaults",
                              "-no-user-config",
                              "-no-reboot",
                              "-display",
                              "none",
                              "-sandbox",
                              "on",
                              "-serial",
                              "stdio",
                              "-kernel",
                              kernel.c_str(),
                              "-append",
                              "console=ttyS0 panic=-1",
                              nullptr};
  char* const environment[] = {nullptr};
  ::execve(argv[0], const_cast<char* const*>(argv), environment);
  ::_exit(127);
}

// The firmware may print, too: only the kernel says its name.
Accelerator try_kernel(const AcceleratorProbe& probe, const std::string& kernel) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {false, "no pipe for a trial of KVM"};
  const Descriptor from{ends[0]};
  Descriptor to{ends[1]};
  // JUSTIFICATION: QEMU may be killed at the deadline, whatever it does.
  const pid_t pid = ::fork();
  if (pid < 0) return {false, "no process for a trial of KVM"};
  if (pid == 0) become_emulator(probe, kernel, to.value());
  to = Descriptor{};
  const Deadline deadline{Deadline::now() + kProbeSeconds * 1000000000};
  std::string printed;
  bool is_up = false;
  std::array<char, 4096> buffer{};
  while (!is_up && !deadline.expired()) {
    pollfd wanted{from.value(), POLLIN, 0};
    if (::poll(&wanted, 1, static_cast<int>(deadline.remaining() / 1000000 + 1)) != 1) continue;
    const auto count = ::read(from.value(), buffer.data(), buffer.size());
    if (count <= 0) break;
    printed.append(buffer.data(), static_cast<std::size_t>(count));
    is_up = printed.find("Linux version") != std::string::npos;
  }
  const bool late = deadline.expired();
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (is_up) return {true, ""};
  return {false, late ? "a kernel that was started with KVM printed nothing in " +
                            std::to_string(kProbeSeconds) + " s"
                      : "QEMU ended while it started a kernel with KVM"};
}

Accelerator find_out(const AcceleratorProbe& probe) {
  const auto kernel =
      std::find_if(probe.kernels.begin(), probe.kernels.end(),
                   [](const std::string& path) { return ::access(path.c_str(), R_OK) == 0; });
  if (kernel == probe.kernels.end()) {
    return {false, "there is no kernel to try KVM with: set probe_kernel in [backend.kvm]"};
  }
  return try_kernel(probe, *kernel);
}

}  // namespace

std::string verdict_text(const Accelerator& verdict, const std::string& boot_id) {
  return boot_id + "\n" + (verdict.hardware ? "yes" : "no") + "\n" + verdict.reason + "\n";
}

std::optional<Accelerator> parse_verdict(const std::string& text, const std::string& boot_id) {
  const auto first = text.find('\n');
  const auto second = text.find('\n', first == std::string::npos ? first : first + 1);
  const auto third = text.find('\n', second == std::string::npos ? second : second + 1);
  if (third == std::string::npos || text.substr(0, first) != boot_id) return std::nullopt;
  const auto word = text.substr(first + 1, second - first - 1);
  if (word != "yes" && word != "no") return std::nullopt;
  return Accelerator{word == "yes", text.substr(second + 1, third - second - 1)};
}

Accelerator find_accelerator(const AcceleratorProbe& probe) {
  const Descriptor device{::open(kDevice, O_RDWR | O_CLOEXEC)};
  // These are not remembered: an administrator may mend them while the node runs.
  if (!device) return {false, std::string{kDevice} + ": " + std::strerror(errno)};
  const Descriptor lock{
      ::open((probe.note + ".lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  while (lock && ::flock(lock.value(), LOCK_EX) != 0 && errno == EINTR) {
  }
  const auto boot = boot_id();
  if (const auto known = parse_verdict(content_of(probe.note), boot)) return *known;
  auto verdict = find_out(probe);
  const auto part = probe.note + ".part";
  {
    std::ofstream file{part, std::ios::trunc};
    file << verdict_text(verdict, boot) << std::flush;
    if (!file) return verdict;
  }
  // A note that cannot be kept costs the next machine another trial.
  [[maybe_unused]] const int renamed = std::rename(part.c_str(), probe.note.c_str());
  return verdict;
}

}  // namespace cloud::kvm
