// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cloud {

/// The last line of a file that is not blank, at most 200 bytes of it and safe to print; "" where
/// there is none, or no file. Only the file's last 4 KiB are read.
[[nodiscard]] std::string last_line_of(const std::string& path);
/// The same of a text.
[[nodiscard]] std::string last_line_in(std::string_view text);

}  // namespace cloud
