// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/system/unique_fd.hpp"

namespace cloud {

/// Catches what this process and its children write to stdout and stderr, from now on.
class Printed {
 public:
  Printed();

  /// The beginning of it, on one line; "" where nothing was written.
  [[nodiscard]] std::string text() const;

 private:
  UniqueFd file_;
};

}  // namespace cloud
