// SPDX-License-Identifier: Apache-2.0
// enter/task_channel: what `enter`, which is the user's, says to `escort`. Input: the bytes of the
// channel; they come in two parts.
#include "enter/task_channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.hpp"

namespace {

constexpr std::size_t kLimit = 4096;
constexpr std::size_t kMostInput = 16384;  // what a socket takes at once

cloud::UniqueFd channel_with(std::string_view bytes) {
  int ends[2];
  FUZZ_PROMISE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const cloud::UniqueFd ours{ends[0]};
  const auto half = bytes.size() / 2;
  for (const auto part : {bytes.substr(0, half), bytes.substr(half)}) {
    FUZZ_PROMISE(::send(ours.value(), part.data(), part.size(), MSG_NOSIGNAL) ==
                 static_cast<ssize_t>(part.size()));
  }
  return cloud::UniqueFd{ends[1]};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, std::min(size, kMostInput));
  const auto first = channel_with(text);
  // Of root's: nothing but this very frame.
  FUZZ_PROMISE(cloud::receive_go(first.value()) ==
               text.starts_with(std::string_view{"g\0\0\0\0", 5}));
  const auto channel = channel_with(text);
  std::size_t taken = 0;
  for (;;) {
    const auto frame = cloud::receive_frame(channel.value(), kLimit);
    if (!frame || !*frame) break;
    constexpr std::size_t kHeader = 5;
    taken += kHeader + (*frame)->bytes.size();
    FUZZ_PROMISE((*frame)->bytes.size() <= kLimit && taken <= text.size() &&
                 (*frame)->files.empty());
    for (std::size_t at = 0; at < (*frame)->bytes.size() + 2; ++at)
      (void)cloud::number_at((*frame)->bytes, at);
  }
  return 0;
}
