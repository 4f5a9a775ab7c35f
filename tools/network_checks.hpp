// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/config/site_config.hpp"
#include "tools/findings.hpp"

namespace cloud {

/// Whether the kernel takes the rules that hold machines back, and how the bridges are set.
void check_networks(const SiteConfig& config, Findings& findings);

}  // namespace cloud
