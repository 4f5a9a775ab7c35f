// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>
#include <string>

namespace cloud::kvm {

/// Whether a machine can be started from the image's files: each is a regular file that root alone
/// can change and that everybody, so the user's QEMU, can read. A disk image in qcow2 format shall
/// stand for itself: with a backing file, or data in another file, it would lead to what the site
/// has not named. Throws sdk::Failure (CLOUD_E_CONFIG).
void check_template(const cloud_image& image);

/// Makes a qcow2 overlay over the template, for `uid` alone, with qemu-img(1). `size`: bytes that
/// the guest sees, 0 for those of the template. Throws sdk::Failure.
void make_overlay(const std::string& qemu_img, const cloud_image& image, const std::string& path,
                  std::uint64_t size, std::uint32_t uid, std::uint32_t gid);

}  // namespace cloud::kvm
