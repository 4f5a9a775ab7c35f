// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <string>

#include "core/error.hpp"

namespace cloud {

/// Whether the engine may use the table that the file's entry point gave for the backend `name`.
/// Each way it can be wrong has a message of its own (Blame::site). A longer table, a newer minor
/// and capabilities unknown to this release are fine.
[[nodiscard]] Result<void> check_table(const std::string& path, const std::string& name,
                                       const cloud_backend_v1* table);

}  // namespace cloud
