// SPDX-License-Identifier: Apache-2.0
// core/job/published_state: what the plugin, enter and cloudctl believe of a machine.
#include "core/job/published_state.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto state = cloud::parse_published_state(fuzz::text_of(data, size));
  if (!state) {
    FUZZ_PROMISE(state.error().blame == cloud::Blame::node);
    return 0;
  }
  FUZZ_PROMISE(state->protocol == cloud::kStateProtocol && state->job_id != 0);
  const auto text = cloud::serialize(*state);
  const auto again = cloud::parse_published_state(text);
  FUZZ_PROMISE(again.has_value());
  FUZZ_PROMISE(cloud::serialize(*again) == text);
  return 0;
}
