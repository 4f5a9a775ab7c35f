// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"

namespace cloud {

struct Printing {
  bool headline = false;  ///< "==> path <==" before it, as tail(1) does
  /// See core/system/harmless_text.hpp: what a machine has written cannot steer the reader's
  /// terminal.
  bool harmless = false;
};

/// Prints a file on stdout. An absent one is an Error with os_errno ENOENT, and no headline.
[[nodiscard]] Result<void> print_file(const std::string& path, Printing how);

}  // namespace cloud
