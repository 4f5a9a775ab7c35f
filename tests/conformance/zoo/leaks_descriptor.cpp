// SPDX-License-Identifier: Apache-2.0
// probe() opens a file and never closes it.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void probe() { (void)::open("/dev/null", O_RDONLY | O_CLOEXEC); }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaks_descriptor", 0);
