// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <spank-cloud/backend.hpp>
#include <string>

namespace cloud::sdk {

inline constexpr std::uint32_t kGroups[] = {100, 31000};

/// Of no account of the node's.
[[nodiscard]] inline cloud_user some_user() {
  static const char* const names[] = {"users", "", "ann"};
  cloud_user user{};
  user.struct_size = sizeof user;
  user.uid = 31001;
  user.gid = 31002;
  user.name = "ann";
  user.home = "/home/ann";
  user.shell = "/bin/zsh";
  user.groups = kGroups;
  user.group_names = names;
  user.group_count = 2;
  return user;
}

/// The message with which `body` fails, with that code.
template <typename Body>
std::string failure_of(Body&& body, std::int32_t code) {
  try {
    body();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code(), code);
    return failure.what();
  }
  return "it did not fail";
}

}  // namespace cloud::sdk
