// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/accelerator.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/descriptor.hpp>

namespace cloud::kvm {
namespace {

using sdk::Descriptor;

constexpr const char* kDevice = "/dev/kvm";
constexpr std::int64_t kProbeSeconds = 30;

std::string boot_id() {
  std::ifstream file{"/proc/sys/kernel/random/boot_id"};
  std::string text;
  std::getline(file, text);
  return text;
}

// Nothing where it could be somebody else's.
std::string content_of_own(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  struct stat status {};
  if (!file || ::fstat(file.value(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return {};
  }
  std::array<char, 1024> buffer{};
  const auto count = ::read(file.value(), buffer.data(), buffer.size());
  return {buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

// A note that cannot be kept costs the next machine another probe.
void write_note(const std::string& note, const std::string& text) {
  const auto part = note + ".part";
  ::unlink(part.c_str());
  Descriptor file{::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) return;
  const auto count = ::write(file.value(), text.data(), text.size());
  file = Descriptor{};
  if (count == static_cast<ssize_t>(text.size()) && ::rename(part.c_str(), note.c_str()) == 0) {
    return;
  }
  ::unlink(part.c_str());
}

Accelerator verdict_of(const ProbeAnswer& answer) {
  return {answer.runs, answer.reason};
}

std::optional<Accelerator> known_verdict(const std::string& note) {
  return parse_verdict(content_of_own(note), boot_id());
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

Accelerator remembered_verdict(const std::string& note, const std::function<ProbeAnswer()>& probe) {
  if (const auto known = known_verdict(note)) return *known;
  const Descriptor lock{
      ::open((note + ".lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  const auto patience = sdk::in_seconds(kProbeSeconds);
  while (lock && ::flock(lock.value(), LOCK_EX | LOCK_NB) != 0) {
    if (patience.expired()) return {false, "another machine's probe of KVM does not end"};
    ::usleep(50000);
  }
  // Another may have found out meanwhile.
  if (const auto known = known_verdict(note)) return *known;
  const auto answer = probe();
  auto verdict = verdict_of(answer);
  if (answer.lasting) write_note(note, verdict_text(verdict, boot_id()));
  return verdict;
}

void find_out_about_kvm(const std::string& note) {
  if (::access(kDevice, F_OK) == 0) (void)remembered_verdict(note, probe_kvm);
}

Accelerator find_accelerator(const std::string& note, const QemuIdentity& qemu) {
  struct stat status {};
  if (::stat(kDevice, &status) != 0) {
    return {false, std::string{kDevice} + ": " + std::strerror(errno)};
  }
  const auto known = known_verdict(note);
  auto verdict = known ? *known : verdict_of(probe_kvm());
  if (!verdict.hardware) return verdict;
  // libvirtd gives QEMU a copy of the device with its owner, mode and ACL.
  if (const auto why = refusal_for(kDevice, qemu); !why.empty()) {
    return {false, std::string{kDevice} + " works, but a machine's QEMU, which runs as uid " +
                       std::to_string(qemu.uid) + " with group " + std::to_string(qemu.gid) +
                       ", cannot open it (" + why + "): " + kHowToOpen};
  }
  return verdict;
}

}  // namespace cloud::kvm
