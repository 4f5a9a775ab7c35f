// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "core/backend/backend.hpp"
#include "core/config/site_config.hpp"
#include "tools/cloudctl.hpp"
#include "tools/configuration_check.hpp"

namespace cloud {
namespace {

void check_image(const std::map<std::string, const cloud_backend_v1*>& tables,
                 const ImageConfig& image, Report& report) {
  std::vector<const cloud_backend_v1*> users;
  for (const auto& [name, table] : tables) {
    const bool may_use = image.types.empty() || std::find(image.types.begin(), image.types.end(),
                                                          name) != image.types.end();
    if (!may_use) continue;
    if (takes_image_format(*table, image.format)) {
      users.push_back(table);
    } else if (!image.types.empty()) {
      report.add(image.where, "the image '" + image.name + "' has the format '" + image.format +
                                  "' and backend '" + name + "' takes " +
                                  image_format_names(*table));
    }
  }
  if (!users.empty()) check_image_settings(users, image, report);
}

}  // namespace

Report full_report(const LoadedConfig& loaded) {
  auto report = loaded.report;
  const auto& config = loaded.config;
  std::map<std::string, const cloud_backend_v1*> tables;
  for (const auto& backend : config.backends) {
    if (!backend.enabled) continue;
    const auto table = load_backend_table(config.backend_dir, backend.name);
    if (!table) {
      report.add(backend.where, table.error().message);
      continue;
    }
    tables.emplace(backend.name, *table);
    check_backend_settings(**table, backend, report);
  }
  for (const auto& image : config.images) check_image(tables, image, report);
  return report;
}

int check_configuration(const std::string& file) {
  // For others it is a draft: root's hooks would not go by it.
  const auto loaded = ::geteuid() == 0 ? load_trusted_site_config(file) : load_site_config(file);
  const auto report = full_report(loaded);
  if (!report.empty()) {
    std::fputs(report.text().c_str(), stderr);
    return 1;
  }
  std::printf("%s: no mistakes; backends: %s\n", file.c_str(),
              loaded.config.backend_names().c_str());
  return 0;
}

}  // namespace cloud
