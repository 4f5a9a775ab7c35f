// SPDX-License-Identifier: Apache-2.0
// core/backend/one_line: texts of a backend, which may repeat what a machine or an image says, on
// their way into a message.
#include "core/backend/one_line.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{fuzz::text_of(data, size)};
  for (const std::size_t limit : {std::size_t{0}, std::size_t{7}, std::size_t{600}}) {
    const auto line = cloud::one_line(text.c_str(), limit);
    FUZZ_PROMISE(line.size() <= limit && fuzz::is_harmless(line));
    FUZZ_PROMISE(cloud::one_line(line.c_str(), line.size()) == line);
  }
  return 0;
}
