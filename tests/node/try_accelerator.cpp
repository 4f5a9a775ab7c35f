// SPDX-License-Identifier: Apache-2.0
//
// What kvm::probe_kvm says of this node: "yes" and status 0, or why not and status 1; 2 where that
// is no lasting answer. For people, too, whose machines are slow.
#include <cstdio>

#include "backends/kvm/kvm_probe.hpp"

int main() {
  const auto answer = cloud::kvm::probe_kvm();
  std::printf("%s\n", answer.runs ? "yes" : answer.reason.c_str());
  return answer.runs ? 0 : answer.lasting ? 1 : 2;
}
