// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/error.hpp"

namespace cloud {

/// Goes on in a child in a session of its own, without a terminal, with stdin on /dev/null and
/// stdout and stderr appended to `log`. The parent ends (status 0) once `settle` has succeeded in
/// the child, or with status 1 where it has not: who started it knows that the child is where it
/// belongs.
void daemonize(const std::string& log, const std::function<Result<void>()>& settle);

}  // namespace cloud
