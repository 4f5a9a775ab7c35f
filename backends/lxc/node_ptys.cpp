// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/node_ptys.hpp"

#include <fstream>
#include <string>

namespace cloud::lxc {
namespace {

std::int64_t setting(const char* name) {
  std::ifstream file{std::string{"/proc/sys/kernel/pty/"} + name};
  std::int64_t value = 0;
  file >> value;
  return value;
}

}  // namespace

bool has_ptys_left(std::int64_t wanted) {
  return setting("nr") + wanted <= setting("max") - setting("reserve");
}

}  // namespace cloud::lxc
