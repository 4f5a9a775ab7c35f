// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>
#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud::lxc {

using sdk::Descriptor;

/// Where what a machine writes goes.
struct WritableLayer {
  bool in_memory = false;
  std::string size;  ///< of the tmpfs, in bytes; only where in_memory
};

/// Mounts `<work_dir>/rootfs`: an overlay over the read-only image, whose ids are mapped by the
/// user namespace. The mounts live in the caller's mount namespace, which shall be private. Returns
/// an O_PATH descriptor of the root. Throws sdk::Failure.
[[nodiscard]] Descriptor mount_rootfs(const cloud_machine_spec& spec, const WritableLayer& layer,
                                      int user_namespace);

/// Makes a folder or an empty file (with its parents) inside the root, owned by the machine's root,
/// and returns an O_PATH descriptor of it; never in what is mounted there. Throws sdk::Failure.
[[nodiscard]] Descriptor make_in_root(int root, const std::string& path, bool directory,
                                      std::uint32_t owner);

}  // namespace cloud::lxc
