// SPDX-License-Identifier: Apache-2.0
// open() sets a variable.
#include <cstdlib>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  Wrong(zoo::Host host, zoo::Settings settings) : Sleeper{host, settings} {
    ::setenv("ZOO", "1", 1);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "changes_environment", 0);
