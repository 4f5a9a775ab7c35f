// SPDX-License-Identifier: Apache-2.0
#include "core/error.hpp"

#include <system_error>

namespace cloud {

std::string_view to_string(Blame blame) {
  switch (blame) {
    case Blame::user:
      return "user";
    case Blame::busy:
      return "busy";
    case Blame::site:
      return "site";
    case Blame::node:
      return "node";
    case Blame::cancelled:
      return "cancelled";
    case Blame::internal:
      return "internal";
  }
  return "invalid";
}

Error Error::within(std::string_view step) && {
  message.insert(0, ": ");
  message.insert(0, step);
  return std::move(*this);
}

Error os_error(Blame blame, std::string_view message, int os_errno) {
  return {blame, std::string{message} + ": " + std::generic_category().message(os_errno), os_errno};
}

}  // namespace cloud
