// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace cloud {

/// A backend's text for a terminal or a log: at most `limit` bytes, control characters (C1 ones
/// too) as blanks, bytes that are no UTF-8 as "?", blanks at the end cut. "" for nullptr.
[[nodiscard]] std::string one_line(const char* text, std::size_t limit);

}  // namespace cloud
