// SPDX-License-Identifier: Apache-2.0
#include "core/backend/one_line.hpp"

#include <cstring>
#include <string_view>

namespace cloud {
namespace {

// 0 where the text does not begin with a UTF-8 sequence. Overlong forms are not told apart: nothing
// is decided by this text.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence.front());
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;  // U+0080..U+009F
}

}  // namespace

std::string one_line(const char* text, std::size_t limit) {
  if (text == nullptr) return {};
  std::string_view rest{text, ::strnlen(text, limit)};
  std::string line;
  while (!rest.empty()) {
    const auto length = sequence_length(rest);
    if (length == 0) {
      line += '?';
      rest.remove_prefix(1);
      continue;
    }
    const auto sequence = rest.substr(0, length);
    if (is_control(sequence)) {
      line += ' ';
    } else {
      line += sequence;
    }
    rest.remove_prefix(length);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace cloud
