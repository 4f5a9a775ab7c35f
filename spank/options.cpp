// SPDX-License-Identifier: Apache-2.0
#include "spank/options.hpp"

#include <algorithm>

namespace cloud::spank {
namespace {

struct Names {
  std::string_view option, variable, environment;
};

constexpr std::array<Names, kAllOptions.size()> kNames{
    {{"cloud", "cloud", "CLOUD"},
     {"cloud-create", "cloud_create", "CLOUD_CREATE"},
     {"cloud-type", "cloud_type", "CLOUD_TYPE"},
     {"cloud-image", "cloud_image", "CLOUD_IMAGE"},
     {"cloud-run", "cloud_run", "CLOUD_RUN"},
     {"cloud-mount", "cloud_mount", "CLOUD_MOUNT"},
     {"cloud-ready", "cloud_ready", "CLOUD_READY"},
     {"cloud-timeout", "cloud_timeout", "CLOUD_TIMEOUT"},
     {"cloud-user-data", "cloud_user_data", "CLOUD_USER_DATA"}}};

const Names& names_of(Option option) {
  return kNames[static_cast<std::size_t>(option)];
}

template <typename T>
Result<void> verdict(Result<T> parsed) {
  if (!parsed) return std::move(parsed).error();
  return {};
}

Result<void> check(Option option, std::string_view value) {
  switch (option) {
    case Option::cloud:
    case Option::type:
      return verdict(parse_type(value));
    case Option::create:
      return verdict(parse_create(value));
    case Option::image:
      return verdict(parse_image(value));
    case Option::run:
      return verdict(parse_run(value));
    case Option::mount:
      return verdict(parse_mounts(value));
    case Option::ready:
      return verdict(parse_ready(value));
    case Option::timeout:
      return verdict(parse_timeout(value));
    case Option::user_data:
      return verdict(parse_user_data(value));
  }
  return {};
}

}  // namespace

std::string_view option_name(Option option) {
  return names_of(option).option;
}
std::string_view variable_name(Option option) {
  return names_of(option).variable;
}
std::string_view environment_name(Option option) {
  return names_of(option).environment;
}

Result<void> Options::set(Option option, std::string_view value) {
  if (auto good = check(option, value); !good) return good;
  if (type_is_inherited_ && (option == Option::cloud || option == Option::type)) {
    for (const auto inherited : {Option::cloud, Option::type, Option::create}) {
      values_[static_cast<std::size_t>(inherited)].reset();
    }
    type_is_inherited_ = false;
  }
  auto& kept = values_[static_cast<std::size_t>(option)];
  if (option == Option::mount && kept && *kept != value) {
    // Given more than once it adds up, as `-v` of container engines does.
    const auto all = *kept + "," + std::string{value};
    if (auto good = check(option, all); !good) return good;
    kept = all;
    return {};
  }
  kept = value;
  return {};
}

Result<void> Options::set_default(Option option, std::string_view value) {
  if (this->value(option)) return {};
  return set(option, value);
}

bool Options::any() const {
  return std::any_of(values_.begin(), values_.end(),
                     [](const auto& value) { return value.has_value(); });
}

Result<std::optional<Request>> Options::complete(const SiteSummary& site) {
  if (!any()) return std::optional<Request>{};
  const auto lookup = [this](std::string_view name) -> std::optional<std::string> {
    for (const auto option : kAllOptions) {
      if (name.substr(6) == variable_name(option)) return value(option);
    }
    return std::nullopt;
  };
  auto request = parse_request(lookup, site.default_type);
  if (!request || !*request) return request;
  const auto& type = (*request)->type;
  const auto& types = site.types;
  if (site.problem.empty() && std::find(types.begin(), types.end(), type) == types.end()) {
    std::string have;
    for (const auto& name : types) have += (have.empty() ? "" : " or ") + name;
    return Error{Blame::user, "unknown --cloud-type '" + type + "' (choose " +
                                  (have.empty() ? "none: this site has enabled no type" : have) +
                                  ")"};
  }
  values_[static_cast<std::size_t>(Option::type)] = type;
  values_[static_cast<std::size_t>(Option::create)] = "yes";
  return request;
}

}  // namespace cloud::spank
