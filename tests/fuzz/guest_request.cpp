// SPDX-License-Identifier: Apache-2.0
// core/machine/guest_request: what the program in a virtual machine is told of a task.
#include "core/machine/guest_request.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto request = cloud::parse_guest_request(fuzz::text_of(data, size));
  if (!request) {
    FUZZ_PROMISE(request.error().blame == cloud::Blame::internal);
    return 0;
  }
  FUZZ_PROMISE(!request->command.empty() && request->umask <= 0777);
  const auto bytes = cloud::serialise(*request);
  FUZZ_PROMISE(bytes.has_value());
  const auto again = cloud::parse_guest_request(*bytes);
  FUZZ_PROMISE(again.has_value());
  FUZZ_PROMISE(again->working_directory == request->working_directory);
  FUZZ_PROMISE(again->umask == request->umask && again->limits == request->limits);
  FUZZ_PROMISE(again->environment == request->environment);
  FUZZ_PROMISE(again->command == request->command && again->script == request->script);
  return 0;
}
