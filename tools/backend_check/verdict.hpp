// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "core/error.hpp"

namespace cloud {

/// What a check found.
struct Verdict {
  enum class Kind { passed, failed, skipped } kind = Kind::passed;
  std::string reason;  ///< one line; "" where it passed

  Verdict() = default;
  Verdict(Error error) : kind{Kind::failed}, reason{std::move(error.message)} {}  // NOLINT
  Verdict(const Result<void>& result) {                                           // NOLINT
    if (!result) *this = Verdict{result.error()};
  }

  [[nodiscard]] static Verdict skip(std::string why) {
    Verdict verdict;
    verdict.kind = Kind::skipped;
    verdict.reason = std::move(why);
    return verdict;
  }
};

/// What a check says when the backend is wrong.
[[nodiscard]] inline Error wrong(std::string reason) {
  return {Blame::site, std::move(reason), 0};
}

}  // namespace cloud
