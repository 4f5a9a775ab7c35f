// SPDX-License-Identifier: Apache-2.0
#include "tools/installed_programs.hpp"

#include <unistd.h>

#include <filesystem>

#include "core/system/program_folder.hpp"
#include "core/system/trusted_path.hpp"
#include "tools/program_output.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

Result<void> check_program(const std::string& path) {
  if (auto trusted = require_trusted(path); !trusted) return trusted;
  auto version = output_of({path, "--version"}, 5s);
  if (!version) return std::move(version).error();
  while (!version->empty() && version->back() == '\n') version->pop_back();
  if (*version == CLOUD_VERSION) return {};
  return Error{Blame::site, path + " is version '" + *version +
                                "' and cloudctl " CLOUD_VERSION ": install all of one package"};
}

}  // namespace

std::string default_libexec() {
  const auto beside =
      (std::filesystem::path{program_folder()} / "../libexec/spank-cloud").lexically_normal();
  return ::access(beside.c_str(), F_OK) == 0 ? beside.string() : std::string{CLOUD_LIBEXECDIR};
}

void check_installed_programs(const std::string& libexec, Findings& findings) {
  bool all_good = true;
  std::string last;
  for (const auto* name : {"enter", "escort", "keeper", "prolog", "epilog"}) {
    const auto good = check_program(libexec + "/" + name);
    if (good) continue;
    // The same folder may be wrong for all of them.
    if (good.error().message != last) findings.problem("programs", good.error().message);
    last = good.error().message;
    all_good = false;
  }
  if (all_good) {
    findings.ok("programs",
                "enter, escort, keeper, prolog and epilog " CLOUD_VERSION " are in " + libexec);
  }
}

}  // namespace cloud
