// SPDX-License-Identifier: Apache-2.0
// probe() never returns.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void probe() { ::pause(); }
};

}  // namespace

ZOO_BACKEND(Wrong, "hangs", 0);
