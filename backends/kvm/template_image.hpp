// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>
#include <string>

namespace cloud::kvm {

/// The files of an image as they were checked: no symbolic link is left in the paths, and on the
/// way to them nobody but root can change anything, so that what was checked is what is used.
struct ImageFiles {
  std::string path;
  std::string initrd;      ///< "" for none
  std::uint64_t size = 0;  ///< bytes that a guest sees of a disk
};

/// Whether a machine can be started from the image's files: each is a regular file that root alone
/// can change and that everybody, so a machine's QEMU, can read. A disk image in qcow2 format must
/// stand for itself: with a backing file, or data in another file, it would lead to what the site
/// has not named. No more than the header is read. Throws sdk::Failure (CLOUD_E_CONFIG).
[[nodiscard]] ImageFiles check_template(const cloud_image& image);

struct NewOverlay {
  std::string path;
  std::uint64_t size = 0;   ///< bytes that the guest sees, 0 for those of the template
  std::uint32_t owner = 0;  ///< uid and gid; nobody else can open it
};

/// Makes a qcow2 overlay over the template with qemu-img(1). Throws sdk::Failure.
void make_overlay(const std::string& qemu_img, const cloud_image& image, const ImageFiles& files,
                  const NewOverlay& wanted);

}  // namespace cloud::kvm
