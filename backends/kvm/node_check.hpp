// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend.hpp>
#include <string>
#include <vector>

namespace cloud::kvm {

/// A file that the backend was told of.
struct NeededFile {
  std::string setting;  ///< of [backend.kvm]
  std::string path;
  bool is_program = false;
  std::string package;  ///< of Debian, "" where it comes with spank-cloud
};

/// Throws sdk::Failure for the first file that is missing, or cannot be run or read, with what to
/// do about it.
void require_files(const std::vector<NeededFile>& files);

/// Throws where a QEMU could not go through a folder of libvirt's to its domain's own.
/// A folder that is not there is libvirtd's to make.
void require_traversable(const std::string& folder);

/// Throws where /dev/kvm is missing, or closed to a QEMU, and `accel` is "kvm"; else says in the
/// log what about it makes machines slow.
void examine_kvm_device(const std::string& device, const std::string& accel, const sdk::Host& host);

}  // namespace cloud::kvm
