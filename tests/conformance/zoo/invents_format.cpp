// SPDX-License-Identifier: Apache-2.0
// Its images have a format that no image has.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  static constexpr const char* image_formats = "directory tarball";
};

}  // namespace

ZOO_BACKEND(Wrong, "invents_format", 0);
