// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/qemu_identity.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/id_map.hpp>

namespace cloud::kvm {

QemuIdentity qemu_identity(std::uint32_t subid_first, const std::string& device) {
  const auto own = sdk::engine_id(subid_first);
  struct stat status {};
  if (device.empty() || ::stat(device.c_str(), &status) != 0) return {own, own};
  constexpr mode_t kUse = S_IRGRP | S_IWGRP;
  const bool lets_group_in = (status.st_mode & kUse) == kUse && status.st_gid != 0;
  return {own, lets_group_in ? status.st_gid : own};
}

std::string refusal_for(const std::string& device, const QemuIdentity& qemu) {
  constexpr std::int64_t kOpenSeconds = 5;
  const auto body = [&]() -> std::string {
    const gid_t group = qemu.gid;
    if (::setgroups(1, &group) != 0 || ::setresgid(qemu.gid, qemu.gid, qemu.gid) != 0 ||
        ::setresuid(qemu.uid, qemu.uid, qemu.uid) != 0) {
      throw sdk::system_failure(CLOUD_E_NODE, "become uid " + std::to_string(qemu.uid), errno);
    }
    // Where a site lets processes that have changed their ids be dumped, QEMUs could trace it.
    ::prctl(PR_SET_DUMPABLE, 0);
    const sdk::Descriptor opened{::open(device.c_str(), O_RDWR | O_CLOEXEC)};
    return opened ? "" : std::strerror(errno);
  };
  try {
    return sdk::bounded_call("open " + device, body, sdk::in_seconds(kOpenSeconds));
  } catch (const sdk::Failure& failure) {
    return failure.what();
  }
}

}  // namespace cloud::kvm
