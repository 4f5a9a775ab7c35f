// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/machine_log.hpp"

#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace cloud::kvm {
namespace {

constexpr std::string_view kPrefix = "sc-";  ///< of every machine's name
constexpr std::string_view kSuffix = ".log";

}  // namespace

void remove_logs(const std::string& folder, const std::string& machine) {
  constexpr int kOlder = 100;
  const auto newest = folder + "/" + machine + std::string{kSuffix};
  ::unlink(newest.c_str());
  for (int older = 0; older < kOlder; ++older) {
    if (::unlink((newest + "." + std::to_string(older)).c_str()) != 0) return;
  }
}

std::vector<std::string> names_with_logs(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code problem;
  for (auto entry = std::filesystem::directory_iterator{folder, problem};
       !problem && entry != std::filesystem::directory_iterator{}; entry.increment(problem)) {
    auto name = entry->path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    name.resize(name.size() - kSuffix.size());
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace cloud::kvm
