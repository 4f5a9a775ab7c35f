// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace cloud {

/// The six bytes of "02:00:0a:00:00:05", as a frame has them; zeros from where the text is none.
[[nodiscard]] inline std::vector<std::uint8_t> mac_bytes(const std::string& text) {
  std::vector<std::uint8_t> mac(6);
  std::sscanf(text.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
              &mac[4], &mac[5]);
  return mac;
}

}  // namespace cloud
