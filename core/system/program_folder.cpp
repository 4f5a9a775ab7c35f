// SPDX-License-Identifier: Apache-2.0
#include "core/system/program_folder.hpp"

#include <filesystem>

namespace cloud {

std::string program_folder() {
  std::error_code problem;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", problem);
  return problem ? std::string{CLOUD_LIBEXECDIR} : program.parent_path().string();
}

}  // namespace cloud
