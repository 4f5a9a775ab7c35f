// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud {

/// The folder of the running program: where its siblings (epilog, enter) are installed, too.
[[nodiscard]] std::string program_folder();

}  // namespace cloud
