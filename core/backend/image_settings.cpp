// SPDX-License-Identifier: Apache-2.0
#include <spank-cloud/backend_abi.h>

#include <algorithm>
#include <sstream>

#include "core/backend/backend.hpp"
#include "core/backend/setting_type.hpp"

namespace cloud {
namespace {

std::vector<std::string> formats_of(const cloud_backend_v1& table) {
  std::istringstream words{table.image_formats};
  std::vector<std::string> formats;
  for (std::string word; words >> word;) formats.push_back(word);
  return formats;
}

const cloud_option* find_option(const cloud_backend_v1& table, const std::string& key) {
  for (std::size_t i = 0; i < table.image_option_count; ++i) {
    if (key == table.image_options[i].key) return &table.image_options[i];
  }
  return nullptr;
}

}  // namespace

bool has_ssh_entry(const cloud_backend_v1& table) {
  return (table.capabilities & CLOUD_CAP_SSH) != 0;
}

bool takes_image_format(const cloud_backend_v1& table, const std::string& format) {
  const auto formats = formats_of(table);
  return std::find(formats.begin(), formats.end(), format) != formats.end();
}

std::string image_format_names(const cloud_backend_v1& table) {
  std::string names;
  for (const auto& format : formats_of(table)) names += (names.empty() ? "" : ", ") + format;
  return names;
}

void check_image_settings(const std::vector<const cloud_backend_v1*>& tables,
                          const ImageConfig& image, Report& report) {
  for (const auto& setting : image.settings) {
    bool is_known = false;
    std::vector<std::string> keys{"path",   "format",  "init",   "types",        "description",
                                  "initrd", "cmdline", "sha256", "initrd_sha256"};
    for (const auto* table : tables) {
      for (std::size_t i = 0; i < table->image_option_count; ++i) {
        keys.emplace_back(table->image_options[i].key);
      }
      const auto* option = find_option(*table, setting.key);
      if (option == nullptr) continue;
      is_known = true;
      if (!has_type(setting, option->type)) {
        report.add(setting.where, "'" + setting.key + "' shall be " + type_name(option->type));
      }
    }
    if (is_known) continue;
    const auto meant = nearest(setting.key, keys);
    report.add(setting.key_where, "unknown key '" + setting.key + "' of an image" +
                                      (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
  }
}

std::vector<BackendSetting> image_settings_for(const cloud_backend_v1& table,
                                               const ImageConfig& image) {
  std::vector<BackendSetting> settings;
  for (const auto& setting : image.settings) {
    if (find_option(table, setting.key) != nullptr) settings.push_back(setting);
  }
  return settings;
}

}  // namespace cloud
