// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace cloud {

/// Who has to act. Decides whether a job or a node pays for a failure.
enum class Blame {
  user,       ///< the job asked for what cannot be
  busy,       ///< a shared resource has run out: try again later
  site,       ///< the configuration or an image is wrong
  node,       ///< this node cannot do it now
  cancelled,  ///< the job is being cancelled
  internal,   ///< a bug of ours
};

[[nodiscard]] std::string_view to_string(Blame blame);

/// A failure as a value. The message is one line without a final period and names the thing, the
/// place and what to do about it.
struct Error {
  Blame blame = Blame::internal;
  std::string message;
  int os_errno = 0;

  /// The same failure with the step that led there in front: "lease an address: no address left".
  [[nodiscard]] Error within(std::string_view step) &&;
};

/// An error whose message ends with strerror(os_errno).
[[nodiscard]] Error os_error(Blame blame, std::string_view message, int os_errno);

/// The subset of std::expected<T, Error> that this code base uses (g++ 12 has no <expected>).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_{std::in_place_index<0>, std::move(value)} {}      // NOLINT
  Result(Error error) : content_{std::in_place_index<1>, std::move(error)} {}  // NOLINT

  [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& operator*() & { return std::get<0>(content_); }
  [[nodiscard]] const T& operator*() const& { return std::get<0>(content_); }
  [[nodiscard]] T&& operator*() && { return std::get<0>(std::move(content_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(content_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(content_); }

  [[nodiscard]] Error& error() & { return std::get<1>(content_); }
  [[nodiscard]] const Error& error() const& { return std::get<1>(content_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(content_)); }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_{std::move(error)}, failed_{true} {}  // NOLINT

  [[nodiscard]] bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return !failed_; }

  [[nodiscard]] Error& error() & { return error_; }
  [[nodiscard]] const Error& error() const& { return error_; }
  [[nodiscard]] Error&& error() && { return std::move(error_); }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace cloud
