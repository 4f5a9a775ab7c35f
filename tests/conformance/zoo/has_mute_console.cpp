// SPDX-License-Identifier: Apache-2.0
// Nothing ever comes out of its console.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  int console(const cloud_machine_ref&) { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
};

}  // namespace

ZOO_BACKEND(Wrong, "has_mute_console", 0);
