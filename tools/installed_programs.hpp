// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/findings.hpp"

namespace cloud {

/// Where this cloudctl's siblings are: `../libexec/spank-cloud` from it, or where the package was
/// built for.
[[nodiscard]] std::string default_libexec();

/// enter, escort, keeper, prolog and epilog: there, root's alone, of this version.
void check_installed_programs(const std::string& libexec, Findings& findings);

}  // namespace cloud
