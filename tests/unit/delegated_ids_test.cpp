// SPDX-License-Identifier: Apache-2.0
#include "core/machine/delegated_ids.hpp"

#include <gtest/gtest.h>

namespace cloud {
namespace {

constexpr std::uint32_t kFirst = 1879048192;
constexpr std::uint32_t kCount = 65536 * 10;

std::string among(const std::string& text) {
  return delegation_among(text, kFirst, kCount);
}

TEST(DelegatedIds, AreNotAmongMachinesUsually) {
  EXPECT_EQ(among(""), "");
  EXPECT_EQ(among("alice:100000:65536\nbob:165536:65536\n"), "");
  EXPECT_EQ(among("alice:1879047192:1000\nbob:1879703552:65536\n"), "");
}

TEST(DelegatedIds, AreNamedWithTheirLine) {
  EXPECT_EQ(among("alice:100000:65536\nbob:1879048192:1\n"), "bob (line 2)");
  EXPECT_EQ(among("1000:1879703551:65536\n"), "1000 (line 1)");
  EXPECT_EQ(among("alice:1879047192:1001\n"), "alice (line 1)");
  EXPECT_EQ(among("all:0:4294967295\n"), "all (line 1)");
  EXPECT_EQ(among("hex:0x70000000:1\n"), "hex (line 1)");
  EXPECT_EQ(among("more:1879048192:1:x\n"), "more (line 1)");
}

TEST(DelegatedIds, AreReadPastWhatIsNone) {
  EXPECT_EQ(
      among(
          "# "
          "alice:1879048192:9\nalice:x:9\nalice:1879048192\nalice:1879048192:0\n\nb:1879048192:9"),
      "b (line 6)");
}

}  // namespace
}  // namespace cloud
