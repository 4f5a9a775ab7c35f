// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/error.hpp"

namespace cloud {

/// Whether this process survives `load`, found out by a child process that dies in its place:
/// constructors of a shared object run before anything of it can be checked. Blame::site where the
/// child was killed, ended or did not come back within 10 s; what `load` itself reports is left to
/// the caller, who loads the file then.
///
/// A file is tried once for each of its versions: this process knows what it has tried, and
/// `notes`, a folder that is root's alone, what others have. "" for none.
[[nodiscard]] Result<void> try_loading(const std::string& path, const std::string& notes,
                                       const std::function<void()>& load);

}  // namespace cloud
