// SPDX-License-Identifier: Apache-2.0
//
// What a machine, a user or a site's program has written, as it may be shown on somebody else's
// terminal or in a log: it can neither steer the terminal nor pose as another line.
#pragma once

#include <string>
#include <string_view>

namespace cloud {

/// Text that comes in pieces. Control characters (also those of two bytes, U+0080 to U+009F), those
/// that change the direction of what follows, and whatever is no UTF-8 become '?'; line ends and
/// tabs stay.
class HarmlessText {
 public:
  [[nodiscard]] std::string pass(std::string_view piece);
  /// What was the beginning of a sequence, at the end of the text.
  [[nodiscard]] std::string end();

 private:
  std::string begun_;  ///< of a sequence whose rest is in the next piece
};

/// A text that is there as a whole, as one line: line ends and tabs become blanks.
[[nodiscard]] std::string harmless_line(std::string_view text);

}  // namespace cloud
