// SPDX-License-Identifier: Apache-2.0
// probe() keeps what it allocates.
#include <cstring>

#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void probe() { ::strdup(std::string(4000, 'x').c_str()); }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaks_memory", 0);
