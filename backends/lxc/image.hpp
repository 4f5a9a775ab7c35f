// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <spank-cloud/descriptor.hpp>

namespace cloud::lxc {

using sdk::Descriptor;

/// Opens an image as O_PATH: a folder that holds a root file system, or a squashfs file, which root
/// alone can have written. What is done with the image is done with this descriptor: the path could
/// lead elsewhere by then. Throws sdk::Failure (CLOUD_E_CONFIG), which names what is wrong.
[[nodiscard]] Descriptor open_image(const cloud_image& image);

}  // namespace cloud::lxc
