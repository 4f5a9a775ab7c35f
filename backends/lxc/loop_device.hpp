// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/descriptor.hpp>
#include <string>

namespace cloud::lxc {

using sdk::Descriptor;

struct LoopDevice {
  std::string path;   ///< "/dev/loopN"
  Descriptor device;  ///< the device frees itself when this and its last mount are gone
};

/// A read-only loop device over the file that an O_PATH descriptor stands for; `name` is for
/// messages. Throws sdk::Failure (CLOUD_E_NODE).
[[nodiscard]] LoopDevice attach_loop_device(int file, const std::string& name);

}  // namespace cloud::lxc
