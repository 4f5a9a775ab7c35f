// SPDX-License-Identifier: Apache-2.0
#include "core/config/site_config_rules.hpp"

#include <algorithm>

namespace cloud {
namespace {

StageConfig built_in(std::string name, StageAction action, OnError on_error) {
  StageConfig stage;
  stage.name = std::move(name);
  stage.action = action;
  stage.on_error = on_error;
  return stage;
}

template <typename Item>
std::vector<std::string> names_of(const std::vector<Item>& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

std::string hint(const std::string& word, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  if (const auto meant = nearest(word, known); !meant.empty())
    return "; did you mean '" + meant + "'?";
  std::string all;
  for (const auto& name : known) all += (all.empty() ? "" : ", ") + name;
  return " (have: " + all + ")";
}

bool allows(const ImageConfig& image, const std::string& backend) {
  return image.types.empty() ||
         std::find(image.types.begin(), image.types.end(), backend) != image.types.end();
}

void check_references(const SiteConfig& config, Report& report) {
  const auto backends = names_of(config.backends);
  const auto knows_backend = [&](const std::string& name) {
    return std::find(backends.begin(), backends.end(), name) != backends.end();
  };
  for (const auto& backend : config.backends) {
    if (!backend.image.empty()) {
      const auto* image = config.image(backend.image);
      if (image == nullptr) {
        report.add(backend.where, "[backend." + backend.name + "] has the image '" + backend.image +
                                      "', which no [image.*] table describes" +
                                      hint(backend.image, names_of(config.images)));
      } else if (!allows(*image, backend.name)) {
        report.add(image->where, "the image '" + image->name + "' is the default of backend '" +
                                     backend.name + "' and its 'types' do not name it");
      }
    }
    if (!backend.pool.empty() && config.pool(backend.pool) == nullptr) {
      report.add(backend.where, "[backend." + backend.name + "] has the pool '" + backend.pool +
                                    "', which no [pool.*] table describes" +
                                    hint(backend.pool, names_of(config.pools)));
    }
  }
  for (const auto& image : config.images) {
    for (const auto& type : image.types) {
      if (!knows_backend(type)) {
        report.add(image.where, "the image '" + image.name + "' names the type '" + type +
                                    "', which no [backend.*] table describes" +
                                    hint(type, backends));
      }
    }
  }
  for (const auto* list : {&config.prolog, &config.epilog}) {
    for (const auto& stage : *list) {
      for (const auto& type : stage.when_types) {
        if (!knows_backend(type)) {
          report.add(stage.where, "the stage '" + stage.name + "' names the type '" + type +
                                      "', which no [backend.*] table describes" +
                                      hint(type, backends));
        }
      }
    }
  }
  if (!config.default_type.empty() && config.backend(config.default_type) == nullptr) {
    report.add({config.file, 0, 0}, "'cloud.default_type' is '" + config.default_type +
                                        "', which is no enabled backend" +
                                        hint(config.default_type, backends));
  }
}

const StageConfig* find_action(const std::vector<StageConfig>& stages, StageAction action) {
  for (const auto& stage : stages) {
    if (stage.action == action) return &stage;
  }
  return nullptr;
}

void check_order(const std::vector<StageConfig>& stages, StageAction first, StageAction second,
                 StageAction required, Report& report) {
  const auto* earlier = find_action(stages, first);
  const auto* later = find_action(stages, second);
  if (!stages.empty() && find_action(stages, required) == nullptr) {
    report.add(stages.front().where,
               "no stage has action = '" + std::string{to_string(required)} + "'");
  }
  if (earlier == nullptr || later == nullptr) return;
  if (earlier > later) {
    report.add(earlier->where, "the stage '" + earlier->name + "' (" +
                                   std::string{to_string(first)} + ") shall come before '" +
                                   later->name + "' (" + std::string{to_string(second)} + ")");
  }
}

}  // namespace

void apply_rules(SiteConfig& config, Report& report) {
  check_references(config, report);
  check_order(config.prolog, StageAction::lease_address, StageAction::create_machine,
              StageAction::create_machine, report);
  check_order(config.epilog, StageAction::destroy_machine, StageAction::release_address,
              StageAction::destroy_machine, report);
  if (config.prolog.empty()) {
    config.prolog.push_back(built_in("address", StageAction::lease_address, OnError::fail_job));
    config.prolog.push_back(built_in("machine", StageAction::create_machine, OnError::fail_job));
  }
  if (config.epilog.empty()) {
    config.epilog.push_back(built_in("machine", StageAction::destroy_machine, OnError::go_on));
    config.epilog.push_back(built_in("address", StageAction::release_address, OnError::go_on));
  }
}

}  // namespace cloud
