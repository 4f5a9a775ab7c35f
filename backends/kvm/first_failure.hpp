// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <spank-cloud/backend.hpp>

namespace cloud::kvm {

/// What went wrong first in a row of things that are all tried.
class FirstFailure {
 public:
  template <typename Step>
  void of(Step&& step) {
    try {
      step();
    } catch (const sdk::Failure& failure) {
      keep(failure);
    }
  }
  void keep(const sdk::Failure& failure) {
    if (!first_) first_ = failure;
  }
  [[nodiscard]] bool is(std::int32_t code) const { return first_ && first_->code() == code; }
  void rethrow() const {
    if (first_) throw *first_;
  }

 private:
  std::optional<sdk::Failure> first_;
};

}  // namespace cloud::kvm
