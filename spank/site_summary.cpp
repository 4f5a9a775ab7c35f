// SPDX-License-Identifier: Apache-2.0
#include "spank/site_summary.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>

namespace cloud::spank {
namespace {

void read_one(const std::string& file, SiteSummary& summary) {
  const auto root = toml::parse_file(file);
  if (const auto type = root["cloud"]["default_type"].value_exact<std::string>()) {
    summary.default_type = *type;
  }
  const auto* backends = root["backend"].as_table();
  if (backends == nullptr) return;
  for (const auto& [name, node] : *backends) {
    const auto* table = node.as_table();
    if (table != nullptr && (*table)["enabled"].value_or(true)) {
      summary.types.emplace_back(name.str());
    }
  }
}

}  // namespace

SiteSummary read_site_summary(const std::string& file) {
  SiteSummary summary;
  try {
    read_one(file, summary);
    std::error_code problem;
    const auto folder = std::filesystem::path{file}.parent_path() / "conf.d";
    for (const auto& entry : std::filesystem::directory_iterator{folder, problem}) {
      if (entry.path().extension() == ".toml") read_one(entry.path().string(), summary);
    }
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    summary.problem =
        file +
        (where.line == 0 ? ""
                         : ":" + std::to_string(where.line) + ":" + std::to_string(where.column)) +
        ": " + std::string{error.description()};
  } catch (const std::exception& error) {
    summary.problem = file + ": " + error.what();
  }
  std::sort(summary.types.begin(), summary.types.end());
  return summary;
}

}  // namespace cloud::spank
