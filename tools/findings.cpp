// SPDX-License-Identifier: Apache-2.0
#include "tools/findings.hpp"

#include <cstdio>

#include "core/system/harmless_text.hpp"

namespace cloud {
namespace {

void print(const char* level, const std::string& what, const std::string& text) {
  std::printf("%-7s %s: %s\n", level, harmless_line(what).c_str(), harmless_line(text).c_str());
  std::fflush(stdout);
}

}  // namespace

void Findings::ok(const std::string& what, const std::string& text) {
  print("ok", what, text);
}

void Findings::note(const std::string& what, const std::string& text) {
  print("note", what, text);
}

void Findings::problem(const std::string& what, const std::string& text) {
  print("problem", what, text);
  has_problem_ = true;
}

void Findings::add(const std::string& what, const Result<void>& result, const std::string& good) {
  if (result) {
    ok(what, good);
  } else {
    problem(what, result.error().message);
  }
}

}  // namespace cloud
