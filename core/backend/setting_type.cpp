// SPDX-License-Identifier: Apache-2.0
#include "core/backend/setting_type.hpp"

#include <spank-cloud/backend_abi.h>

namespace cloud {

std::string type_name(std::int32_t type) {
  return type == CLOUD_STRING ? "a string" : type == CLOUD_INT ? "an integer" : "true or false";
}

bool has_type(const BackendSetting& setting, std::int32_t type) {
  const auto index = setting.value.index();
  return (type == CLOUD_STRING && index == 0) || (type == CLOUD_INT && index == 1) ||
         (type == CLOUD_BOOL && index == 2);
}

}  // namespace cloud
