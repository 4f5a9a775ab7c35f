// SPDX-License-Identifier: Apache-2.0
// core/job/cgroup_path: the text of /proc/PID/cgroup, whose groups a machine's root may have named.
#include "core/job/cgroup_path.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kEnd = "/job_17/step_extern";
  const auto text = fuzz::text_of(data, size);
  const auto path = cloud::extern_step_path(text, 17);
  if (!path) {
    FUZZ_PROMISE(path.error().blame == cloud::Blame::node);
    return 0;
  }
  FUZZ_PROMISE(path->ends_with(kEnd) && path->find('\n') == std::string::npos);
  // The first of that name: below it anybody may have made more.
  FUZZ_PROMISE(path->find(kEnd) + kEnd.size() == path->size());
  FUZZ_PROMISE(text.find(*path) != text.npos);
  FUZZ_PROMISE(path->starts_with(cloud::job_cgroup_path(*path)));
  return 0;
}
