// SPDX-License-Identifier: Apache-2.0
//
// load_backend DIR NAME VERSION: exits 0 where the engine opens that backend and it has that
// version.
#include <cstdio>

#include "core/backend/backend.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  cloud::BackendConfig config;
  config.name = argv[2];
  const auto backend = cloud::open_backend(argv[1], config, {});
  if (!backend) {
    std::fprintf(stderr, "%s\n", backend.error().message.c_str());
    return 1;
  }
  std::printf("%s %s\n", (*backend)->name().c_str(), (*backend)->version().c_str());
  return (*backend)->version() == argv[3] ? 0 : 1;
}
