// SPDX-License-Identifier: Apache-2.0
//
// What a guest is told of itself: NoCloud for images with cloud-init, and the same as a small shell
// file for images without. Pure.
#pragma once

#include <spank-cloud/backend_abi.h>

#include <string>
#include <vector>

#include "backends/kvm/seed_disk.hpp"

namespace cloud::kvm {

/// A folder of the host that the guest mounts.
struct GuestMount {
  std::string tag;  ///< of the virtiofs
  std::string target;
  bool read_only = false;
};

struct SeedPlan {
  std::vector<GuestMount> mounts;
  std::string site_user_data;  ///< cloud-init, or ""
  std::string guest_program;   ///< the content of `guest`
  std::string setup_program;   ///< the content of `setup`
};

[[nodiscard]] std::vector<SeedFile> seed_files(const cloud_machine_spec& spec,
                                               const SeedPlan& plan);

/// One variable of machine.env: NAME='value', for a shell to read.
[[nodiscard]] std::string shell_variable(const std::string& name, const std::string& value);

}  // namespace cloud::kvm
