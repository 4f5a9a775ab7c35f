// SPDX-License-Identifier: Apache-2.0
#include "core/system/harmless_text.hpp"

#include <algorithm>
#include <cstdint>

namespace cloud {
namespace {

struct Sequence {
  std::size_t length = 1;  ///< of what is there of it
  bool is_whole = true;    ///< false where more bytes have to come
  bool is_harmless = false;
};

// Of a first byte, and what the shortest form of that length begins with.
std::size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

bool is_harmless(std::uint32_t code, std::size_t length) {
  constexpr std::uint32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kShortest[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
    return false;
  const bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  const bool is_line_end = code == 0x2028 || code == 0x2029;
  const bool turns_around =
      (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return !is_control && !is_line_end && !turns_around;
}

Sequence first_of(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const auto length = length_of(lead);
  if (length == 0) return {};
  std::uint32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {i, false, false};
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3FU);
  }
  return {length, true, is_harmless(code, length)};
}

bool stays(char c) {
  return c == '\n' || c == '\t' || c == '\r';
}

}  // namespace

std::string HarmlessText::pass(std::string_view piece) {
  const auto all = begun_ + std::string{piece};
  begun_.clear();
  std::string shown;
  for (std::string_view rest{all}; !rest.empty();) {
    const auto sequence = first_of(rest);
    if (!sequence.is_whole) {
      begun_ = rest;
      break;
    }
    if (sequence.is_harmless || stays(rest.front())) {
      shown += rest.substr(0, sequence.length);
    } else {
      shown += '?';
    }
    rest.remove_prefix(sequence.length);
  }
  return shown;
}

std::string HarmlessText::end() {
  std::string shown(begun_.size(), '?');
  begun_.clear();
  return shown;
}

std::string harmless_line(std::string_view text) {
  HarmlessText filter;
  auto line = filter.pass(text);
  line += filter.end();
  std::replace_if(line.begin(), line.end(), stays, ' ');
  return line;
}

}  // namespace cloud
