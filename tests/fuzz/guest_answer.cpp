// SPDX-License-Identifier: Apache-2.0
// core/machine/guest_request: what a machine, whose root may be anybody, answers of a task.
#include <signal.h>
#include <sys/wait.h>

#include "core/machine/guest_request.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  if (cloud::is_guest_token(text)) {
    FUZZ_PROMISE(!text.empty() && text.size() <= cloud::kGuestTokenMax);
    FUZZ_PROMISE(std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }));
  }
  const auto status = cloud::parse_guest_status(text);
  if (!status) return 0;
  FUZZ_PROMISE(WIFEXITED(*status) ||
               (WIFSIGNALED(*status) && WTERMSIG(*status) > 0 && WTERMSIG(*status) <= SIGRTMAX));
  const auto again = cloud::parse_guest_status(cloud::guest_status_text(*status));
  FUZZ_PROMISE(again && *again == *status);
  return 0;
}
