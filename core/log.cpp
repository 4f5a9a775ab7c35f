// SPDX-License-Identifier: Apache-2.0
#include "core/log.hpp"

#include <syslog.h>

#include <cstdio>

#include "core/system/harmless_text.hpp"

namespace cloud {
namespace {

struct Fields {
  std::string program = "spank-cloud";
  std::string job;
};

Fields& fields() {
  static Fields instance;
  return instance;
}

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "error";
    case LogLevel::warn:
      return "warn";
    case LogLevel::info:
      return "info";
    case LogLevel::debug:
      return "debug";
  }
  return "invalid";
}

int priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return LOG_ERR;
    case LogLevel::warn:
      return LOG_WARNING;
    case LogLevel::info:
      return LOG_INFO;
    case LogLevel::debug:
      return LOG_DEBUG;
  }
  return LOG_ERR;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  // Backends, machines and site programs have a say in messages.
  for (const char c : harmless_line(text)) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

}  // namespace

void log_as(const std::string& program, unsigned long long job_id) {
  fields() = {program, std::to_string(job_id)};
}

void log_line(LogLevel level, const std::string& message) {
  const auto line = std::string{"level="} + name_of(level) + " program=" + fields().program +
                    (fields().job.empty() ? "" : " job=" + fields().job) +
                    " msg=" + quoted(message);
  std::fprintf(stderr, "%s\n", line.c_str());
  ::syslog(LOG_DAEMON | priority_of(level), "%s", line.c_str());
}

}  // namespace cloud
