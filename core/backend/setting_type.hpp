// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/config/site_config.hpp"

namespace cloud {

/// "a string", for messages. `type`: cloud_type.
[[nodiscard]] std::string type_name(std::int32_t type);
[[nodiscard]] bool has_type(const BackendSetting& setting, std::int32_t type);

}  // namespace cloud
