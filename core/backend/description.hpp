// SPDX-License-Identifier: Apache-2.0
//
// What a backend says of itself, for people: from the same table that configurations are checked
// against. A backend's texts are printed as one line each, without control characters.
#pragma once

#include <string>

struct cloud_backend_v1;

namespace cloud {

/// For a terminal. `file` is where it was loaded from.
[[nodiscard]] std::string describe_backend(const cloud_backend_v1& table, const std::string& file);

/// Its version, as one line.
[[nodiscard]] std::string backend_version(const cloud_backend_v1& table);

/// The manual page spank-cloud-backend-NAME(7), in roff.
[[nodiscard]] std::string backend_manual(const cloud_backend_v1& table);

}  // namespace cloud
