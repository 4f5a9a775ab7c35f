// SPDX-License-Identifier: Apache-2.0
//
// backend-manual FILE.so PAGE: writes the manual page of a backend that was just built. Not
// installed: `cloudctl backend show NAME --man` prints that of an installed one.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/backend/backend.hpp"
#include "core/backend/description.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: backend-manual FILE.so PAGE\n", stderr);
    return 2;
  }
  const auto file = std::filesystem::absolute(argv[1]);
  const auto name = cloud::backend_name(file.string());
  const auto table =
      cloud::load_unowned_backend_table(file.string(), name.value_or(file.stem().string()));
  if (!table) {
    std::fprintf(stderr, "backend-manual: %s\n", table.error().message.c_str());
    return 1;
  }
  std::ofstream page{argv[2], std::ios::trunc};
  page << cloud::backend_manual(**table) << std::flush;
  if (!page) std::fprintf(stderr, "backend-manual: cannot write %s\n", argv[2]);
  return page ? 0 : 1;
}
