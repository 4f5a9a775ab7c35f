// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "core/config/site_config.hpp"
#include "core/config/table_reader.hpp"
#include "core/error.hpp"

namespace cloud {

/// Fills a SiteConfig from files: what can be said of a key by itself is checked here.
class SiteConfigReader {
 public:
  using ReadFile = std::function<Result<std::string>(const std::string& path, std::size_t limit)>;

  SiteConfigReader(SiteConfig& config, Report& report, ReadFile read_file)
      : config_{config}, report_{report}, read_file_{std::move(read_file)} {}

  /// The file, then conf.d/*.toml beside it in name order.
  void read_all(const std::string& file);
  [[nodiscard]] const std::vector<ConfigSource>& sources() const noexcept { return sources_; }

 private:
  void read_file(const std::string& file);
  void read_cloud(const toml::table& table, const std::string& file);
  void read_backend(const std::string& name, const toml::table& table, const std::string& file);
  void read_image(const std::string& name, const toml::table& table, const std::string& file);
  void read_pool(const std::string& name, const toml::table& table, const std::string& file);
  void read_mount(const toml::table& table, const std::string& file);
  void read_stages(const toml::table& list, const std::string& file,
                   std::vector<StageConfig>& stages);
  void read_stage(const toml::table& table, const std::string& file,
                  std::vector<StageConfig>& stages);
  /// False, with a report that names both places, where it was defined before.
  bool define_once(const std::string& what, const Place& where);

  SiteConfig& config_;
  Report& report_;
  ReadFile read_file_;
  std::vector<ConfigSource> sources_;
  std::map<std::string, Place> defined_;
};

}  // namespace cloud
