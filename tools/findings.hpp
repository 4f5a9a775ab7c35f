// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"

namespace cloud {

/// What `cloudctl doctor` has found, printed line by line as it comes.
class Findings {
 public:
  void ok(const std::string& what, const std::string& text);
  /// Works, or could not be looked at: somebody should know.
  void note(const std::string& what, const std::string& text);
  /// Jobs will fail because of it; `text` says what to do.
  void problem(const std::string& what, const std::string& text);
  /// ok where it holds, else a problem.
  void add(const std::string& what, const Result<void>& result, const std::string& good);

  [[nodiscard]] bool has_problem() const noexcept { return has_problem_; }

 private:
  bool has_problem_ = false;
};

}  // namespace cloud
