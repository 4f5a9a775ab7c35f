// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/config/site_config.hpp"

namespace cloud {

/// The mistakes of a configuration, those of the backends' own keys and of images that no backend
/// takes included.
[[nodiscard]] Report full_report(const LoadedConfig& loaded);

}  // namespace cloud
