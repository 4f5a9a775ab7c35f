// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/config/site_config.hpp"

namespace cloud {

/// What can be said only of the whole: names that refer to each other, the order of stages. Fills
/// in the default stages where the files name none.
void apply_rules(SiteConfig& config, Report& report);

}  // namespace cloud
