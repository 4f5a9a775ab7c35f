// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/job/request.hpp"
#include "spank/site_summary.hpp"

namespace cloud::spank {

enum class Option { cloud, create, type, image, run, mount, ready, timeout, user_data };
inline constexpr std::array kAllOptions{Option::cloud, Option::create,  Option::type,
                                        Option::image, Option::run,     Option::mount,
                                        Option::ready, Option::timeout, Option::user_data};

/// "cloud-type": as it is typed, without the dashes.
[[nodiscard]] std::string_view option_name(Option option);
/// "cloud_type": the prolog sees it as SPANK_cloud_type.
[[nodiscard]] std::string_view variable_name(Option option);
/// "CLOUD_TYPE": users set SLURM_CLOUD_TYPE, SBATCH_CLOUD_TYPE or SALLOC_CLOUD_TYPE.
[[nodiscard]] std::string_view environment_name(Option option);

/// The values that were given, by whichever way.
class Options {
 public:
  /// Checks the value's form. A repeat of the same option replaces the value: the last one wins.
  [[nodiscard]] Result<void> set(Option option, std::string_view value);
  /// The same, but what is set already stays: an environment variable yields to the command line.
  [[nodiscard]] Result<void> set_default(Option option, std::string_view value);

  [[nodiscard]] const std::optional<std::string>& value(Option option) const {
    return values_[static_cast<std::size_t>(option)];
  }
  [[nodiscard]] bool any() const;

  /// A further component of a heterogeneous job begins. It inherits what was given to the one
  /// before, as Slurm's own cache of plugin options does; a type of its own replaces both
  /// spellings.
  void begin_component() noexcept { type_is_inherited_ = true; }

  /// Makes the implied ones explicit (--cloud=X is --cloud-type=X --cloud-create=yes; a request
  /// without --cloud-create is one with yes) and checks them against the site. std::nullopt where
  /// no machine is asked for.
  [[nodiscard]] Result<std::optional<Request>> complete(const SiteSummary& site);

 private:
  std::array<std::optional<std::string>, kAllOptions.size()> values_;
  bool type_is_inherited_ = false;
};

}  // namespace cloud::spank
