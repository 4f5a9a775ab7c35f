// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/image.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/trusted_path.hpp>
#include <string>
#include <string_view>

namespace cloud::lxc {
namespace {

using sdk::Failure;
using sdk::system_failure;

bool is_squashfs(int image) {
  const Descriptor file{open_for_reading(image)};
  std::array<char, 4> magic{};
  return file && ::read(file.value(), magic.data(), magic.size()) == 4 &&
         std::string_view{magic.data(), magic.size()} == "hsqs";
}

bool has_root_file_system(int image) {
  for (const auto* name : {"bin", "sbin", "usr"}) {
    struct stat status {};
    if (::fstatat(image, name, &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
  }
  return false;
}

}  // namespace

Descriptor open_image(const cloud_image& image) {
  const auto what = "image '" + std::string{image.name} + "'";
  auto found = open_trusted(image.path);
  Descriptor opened{found.fd};
  if (!opened) throw Failure{CLOUD_E_CONFIG, what + ": " + found.problem, found.error_number};
  struct stat status {};
  if (::fstat(opened.value(), &status) != 0) {
    throw system_failure(CLOUD_E_CONFIG, what + ": " + found.path, errno);
  }
  if (std::string_view{image.format} == "squashfs") {
    if (S_ISREG(status.st_mode) && is_squashfs(opened.value())) return opened;
    throw Failure{CLOUD_E_CONFIG, what + ": " + found.path + " is no squashfs file"};
  }
  if (!S_ISDIR(status.st_mode)) {
    throw Failure{CLOUD_E_CONFIG, what + ": " + found.path + " is no folder"};
  }
  if (!has_root_file_system(opened.value())) {
    throw Failure{CLOUD_E_CONFIG,
                  what + ": " + found.path + " holds no root file system (no bin, sbin or usr)"};
  }
  return opened;
}

}  // namespace cloud::lxc
