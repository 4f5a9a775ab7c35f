// SPDX-License-Identifier: Apache-2.0
#ifndef SPANK_CLOUD_INTERFACE_NAME_HPP
#define SPANK_CLOUD_INTERFACE_NAME_HPP

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace cloud {
namespace sdk {

/// A name of at most 15 bytes for the host's side of a machine's network: two letters that tell the
/// backend, and a hash of the machine's name.
[[nodiscard]] inline std::string interface_name(const char* two_letters,
                                                const std::string& machine) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : machine) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%.2s%012llx", two_letters,
                static_cast<unsigned long long>(hash & 0xffffffffffffULL));
  return name.data();
}

}  // namespace sdk
}  // namespace cloud

#endif
