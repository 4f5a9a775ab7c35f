// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/config/site_config.hpp"
#include "core/error.hpp"

namespace cloud {

/// Checks an image's files against the digests that the site pins. A file is read once for each of
/// its versions (device, inode, size, times of change): `folder`, root's alone, remembers what was
/// found. Others who want the same file meanwhile wait. Blame::site where a digest differs,
/// Blame::cancelled soon after `cancelled` says so.
[[nodiscard]] Result<void> check_image_digests(const ImageConfig& image, const std::string& folder,
                                               const std::function<bool()>& cancelled);

}  // namespace cloud
