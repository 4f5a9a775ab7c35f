// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <set>

#include "core/backend/backend.hpp"
#include "core/backend/description.hpp"
#include "core/config/site_config.hpp"
#include "tools/cloudctl.hpp"
#include "tools/findings.hpp"

namespace cloud {
namespace {

const BackendConfig* find_config(const SiteConfig& config, const std::string& name) {
  for (const auto& backend : config.backends) {
    if (backend.name == name) return &backend;
  }
  return nullptr;
}

std::string use_of(const BackendConfig* backend) {
  if (backend == nullptr) return "not in the configuration";
  return (backend->enabled ? "enabled at " : "switched off at ") + backend->where.text();
}

}  // namespace

int list_backends(const NodeView& view) {
  const auto config = load_site_config(view.config_file).config;
  const auto in_folder = backend_names_in(config.backend_dir);
  std::set<std::string> names{in_folder.begin(), in_folder.end()};
  for (const auto& backend : config.backends) names.insert(backend.name);
  Findings findings;
  for (const auto& name : names) {
    const auto* backend = find_config(config, name);
    const auto use = use_of(backend);
    const auto table = load_backend_table(config.backend_dir, name);
    if (table) {
      findings.ok(name, backend_version(**table) + ", " + use);
    } else if (backend != nullptr && backend->enabled) {
      findings.problem(name, use + ": " + table.error().message);
    } else {
      findings.note(name, use + ": " + table.error().message);
    }
  }
  if (names.empty()) std::printf("there are no backends in %s\n", config.backend_dir.c_str());
  return findings.has_problem() ? 1 : 0;
}

int show_backend(const NodeView& view, const std::string& name, BackendFormat format) {
  const auto config = load_site_config(view.config_file).config;
  const auto table = load_backend_table(config.backend_dir, name);
  if (!table) return refuse(table.error());
  if (format == BackendFormat::man) {
    std::fputs(backend_manual(**table).c_str(), stdout);
    return 0;
  }
  std::fputs(describe_backend(**table, backend_file(config.backend_dir, name)).c_str(), stdout);
  std::printf("configuration: %s\n", use_of(find_config(config, name)).c_str());
  return 0;
}

}  // namespace cloud
