// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cloud {

enum class LogLevel { error, warn, info, debug };

/// One logfmt line to stderr, where slurmd picks it up when a hook fails, and to syslog:
/// level=warn program=epilog job=42 msg="...". Errors mean that somebody must act.
void log_line(LogLevel level, const std::string& message);

/// What every line of this process carries.
void log_as(const std::string& program, unsigned long long job_id);

}  // namespace cloud
