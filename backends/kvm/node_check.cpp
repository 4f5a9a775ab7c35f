// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/node_check.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "backends/kvm/accelerator.hpp"
#include "backends/kvm/qemu_identity.hpp"

namespace cloud::kvm {
namespace {

using sdk::Failure;

std::string mode_text(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
  return text.data();
}

}  // namespace

void require_files(const std::vector<NeededFile>& files) {
  for (const auto& file : files) {
    if (file.path.empty()) continue;
    if (::access(file.path.c_str(), file.is_program ? X_OK : R_OK) == 0) continue;
    auto failure =
        sdk::system_failure(CLOUD_E_CONFIG, "'" + file.setting + "': " + file.path, errno);
    if (file.package.empty()) throw failure;
    throw Failure{CLOUD_E_CONFIG,
                  failure.what() + (": apt-get install " + file.package) + ", or name another"};
  }
}

void require_traversable(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) != 0) return;
  throw Failure{CLOUD_E_NODE, folder + " has mode " + mode_text(status.st_mode) +
                                  ", so that a machine's QEMU, which is not root's, does not reach "
                                  "its own files below: chmod o+x " +
                                  folder};
}

void examine_kvm_device(const std::string& device, const std::string& accel,
                        const sdk::Host& host) {
  if (accel == "tcg") return;
  struct stat status {};
  if (::stat(device.c_str(), &status) != 0) {
    const auto why = device +
                     " is not there: modprobe kvm_intel or kvm_amd, and look whether the "
                     "firmware has switched virtualisation off";
    if (accel == "kvm") throw Failure{CLOUD_E_NODE, why};
    host.log(CLOUD_WARN, "machines are slow (TCG): " + why);
    return;
  }
  // Any id without an account stands for those of the machines' QEMUs.
  const auto qemu = qemu_identity(0, device);
  const auto why = ::geteuid() == 0 ? refusal_for(device, qemu) : std::string{};
  if (why.empty()) return;
  const auto text = device + " has mode " + mode_text(status.st_mode) + " and group " +
                    std::to_string(status.st_gid) +
                    ", and a machine's QEMU, which has an id of its own and that group, cannot "
                    "open it (" +
                    why + "): " + kHowToOpen;
  if (accel == "kvm") throw Failure{CLOUD_E_NODE, text};
  host.log(CLOUD_WARN, "machines are slow (TCG): " + text);
}

}  // namespace cloud::kvm
