// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "core/backend/backend.hpp"
#include "core/config/site_config.hpp"
#include "tools/cloudctl.hpp"

namespace cloud {

int check_configuration(const std::string& file) {
  auto [config, report] = load_site_config(file);
  for (const auto& backend : config.backends) {
    if (!backend.enabled) continue;
    const auto table = load_backend_table(config.backend_dir, backend.name);
    if (!table) {
      report.add(backend.where, table.error().message);
      continue;
    }
    check_backend_settings(**table, backend, report);
  }
  if (!report.empty()) {
    std::fputs(report.text().c_str(), stderr);
    return 1;
  }
  std::printf("%s: no mistakes; backends: %s\n", file.c_str(), config.backend_names().c_str());
  return 0;
}

}  // namespace cloud
