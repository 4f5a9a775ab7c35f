// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cloud {

/// Where something stands in a configuration file. line and column count from 1; 0 means unknown.
struct Place {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  /// "FILE:LINE:COLUMN", or "FILE" where the line is unknown.
  [[nodiscard]] std::string text() const;
};

struct Diagnostic {
  Place where;
  std::string message;
};

/// All mistakes of a configuration, to be shown at once.
class Report {
 public:
  void add(Place where, std::string message);
  [[nodiscard]] bool empty() const noexcept { return diagnostics_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return diagnostics_.size(); }
  /// Sorted by file, line and column, duplicates removed.
  [[nodiscard]] std::vector<Diagnostic> sorted() const;
  /// "FILE:L:C: MESSAGE" of the first of them, for a message of one line. Not of an empty report.
  [[nodiscard]] std::string first_line() const;
  /// "FILE:L:C: error: MESSAGE", the line of the file and a caret below it; one block a mistake.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Diagnostic> diagnostics_;
};

/// The member of `known` that a typo most likely meant; "" where none is near.
[[nodiscard]] std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace cloud
