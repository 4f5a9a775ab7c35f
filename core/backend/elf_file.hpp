// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// What the linker wrote into a shared object.
struct ElfFile {
  std::vector<std::string> exports;  ///< defined symbols that others can bind to, sorted
  bool binds_eagerly = false;        ///< -z now
  bool never_unloads = false;        ///< -z nodelete
};

/// Read from the file without loading it: nothing of it runs. Blame::site where it is none of this
/// machine's kind, or is torn.
[[nodiscard]] Result<ElfFile> read_elf_file(const std::string& path);

}  // namespace cloud
