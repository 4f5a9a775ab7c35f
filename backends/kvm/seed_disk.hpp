// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloud::kvm {

struct SeedFile {
  std::string path;  ///< relative
  std::string content;
  mode_t mode = 0444;
};

/// Writes an ISO 9660 image with Rock Ridge names and the volume id "cidata", which NoCloud looks
/// for. `path` is made anew, for `uid` alone: it holds the machine's host key. Throws sdk::Failure.
void write_seed_disk(const std::string& path, const std::vector<SeedFile>& files, uid_t uid,
                     gid_t gid);

}  // namespace cloud::kvm
