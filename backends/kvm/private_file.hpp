// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud::kvm {

/// Writes a file of root's that nobody else can read, whatever the umask, in the place of what is
/// there. Throws sdk::Failure (CLOUD_E_NODE).
void write_private_file(const std::string& path, const std::string& text);

}  // namespace cloud::kvm
