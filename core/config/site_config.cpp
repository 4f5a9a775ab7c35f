// SPDX-License-Identifier: Apache-2.0
#include "core/config/site_config.hpp"

#include <algorithm>
#include <filesystem>

#include "core/config/site_config_reader.hpp"
#include "core/config/site_config_rules.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

template <typename Item>
const Item* find_by_name(const std::vector<Item>& items, std::string_view name) {
  for (const auto& item : items) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

std::string joined(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string_view to_string(StageAction action) {
  switch (action) {
    case StageAction::lease_address:
      return "lease-address";
    case StageAction::create_machine:
      return "create-machine";
    case StageAction::destroy_machine:
      return "destroy-machine";
    case StageAction::release_address:
      return "release-address";
    case StageAction::exec:
      return "exec";
  }
  return "invalid";
}

const BackendConfig* SiteConfig::backend(std::string_view name) const {
  const auto* found = find_by_name(backends, name);
  return found != nullptr && found->enabled ? found : nullptr;
}

const ImageConfig* SiteConfig::image(std::string_view name) const {
  return find_by_name(images, name);
}

const PoolConfig* SiteConfig::pool(std::string_view name) const {
  return find_by_name(pools, name);
}

std::string SiteConfig::backend_names() const {
  std::vector<std::string> names;
  for (const auto& item : backends) {
    if (item.enabled) names.push_back(item.name);
  }
  return joined(std::move(names));
}

std::string SiteConfig::image_names(std::string_view type,
                                    const std::function<bool(const ImageConfig&)>& takes) const {
  std::vector<std::string> names;
  for (const auto& item : images) {
    const bool fits = item.types.empty() ||
                      std::find(item.types.begin(), item.types.end(), type) != item.types.end();
    if (fits && (!takes || takes(item))) names.push_back(item.name);
  }
  return joined(std::move(names));
}

namespace {

SiteConfig without_files(const std::string& file) {
  SiteConfig config;
  config.file = file;
  config.state_dir = CLOUD_STATE_DIR;
  config.run_dir = CLOUD_RUN_DIR;
  config.backend_dir = CLOUD_BACKEND_DIR;
  return config;
}

LoadedConfig load(const std::string& file, const SiteConfigReader::ReadFile& read_file) {
  LoadedConfig loaded;
  loaded.config = without_files(file);
  SiteConfigReader reader{loaded.config, loaded.report, read_file};
  reader.read_all(file);
  loaded.sources = reader.sources();
  for (auto& backend : loaded.config.backends) backend.notes = loaded.config.backend_notes();
  apply_rules(loaded.config, loaded.report);
  return loaded;
}

Result<SiteConfig> without_mistakes(LoadedConfig loaded) {
  if (loaded.report.empty()) return std::move(loaded.config);
  auto message = loaded.report.first_line();
  if (loaded.report.size() > 1) {
    message += " (and " + std::to_string(loaded.report.size() - 1) +
               " more mistakes: run `cloudctl check`)";
  }
  return Error{Blame::site, std::move(message)};
}

}  // namespace

LoadedConfig load_site_config(const std::string& file) {
  return load(file, [](const std::string& path, std::size_t limit) {
    return cloud::read_file(path, limit);
  });
}

LoadedConfig load_trusted_site_config(const std::string& file) {
  bool is_trusted = true;
  auto loaded = load(file, [&](const std::string& path, std::size_t limit) {
    auto text = read_trusted_file(std::filesystem::absolute(path).string(), limit);
    // A file that is not there is nobody's.
    is_trusted = is_trusted && (text || text.error().os_errno != 0);
    return text;
  });
  if (is_trusted) return loaded;
  // Not a word of it: one file may change what another says.
  LoadedConfig none;
  none.config = without_files(file);
  none.report = std::move(loaded.report);
  apply_rules(none.config, none.report);
  return none;
}

Result<SiteConfig> require_site_config(const std::string& file) {
  return without_mistakes(load_site_config(file));
}

Result<SiteConfig> require_trusted_site_config(const std::string& file) {
  return without_mistakes(load_trusted_site_config(file));
}

std::string default_config_file() {
  return CLOUD_SYSCONFDIR "/spank-cloud/cloud.toml";
}

}  // namespace cloud
