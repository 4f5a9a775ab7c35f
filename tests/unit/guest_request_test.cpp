// SPDX-License-Identifier: Apache-2.0
#include "core/machine/guest_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

namespace cloud {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

GuestRequest example() {
  return {.working_directory = "/home/u/a 'b'\n\xff",
          .umask = 0027,
          .limits = {{RLIMIT_NOFILE, 1024}, {RLIMIT_CORE, 0}, {RLIMIT_STACK, kGuestUnlimited}},
          .environment = {"A=", "B=1=2", "C=two\nlines\t$(reboot)"},
          .command = {"prog", "", "a b", "-x"},
          .script = "#!/bin/sh\necho 1\n"};
}

std::string bytes_of(const GuestRequest& request) {
  const auto bytes = serialise(request);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes ? *bytes : ""s;
}

TEST(GuestRequest, ComesBackAsItWasWritten) {
  const auto read = parse_guest_request(bytes_of(example()));

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->working_directory, example().working_directory);
  EXPECT_EQ(read->umask, example().umask);
  EXPECT_EQ(read->limits, example().limits);
  EXPECT_EQ(read->environment, example().environment);
  EXPECT_EQ(read->command, example().command);
  EXPECT_EQ(read->script, example().script);
}

TEST(GuestRequest, HasTheDocumentedBytes) {
  const auto bytes = bytes_of({.working_directory = "/w",
                               .umask = 0022,
                               .limits = {{RLIMIT_NOFILE, 64}, {RLIMIT_AS, kGuestUnlimited}},
                               .environment = {"A=1"},
                               .command = {"ls", "-l"}});

  EXPECT_EQ(bytes,
            "spank-cloud-task-1\0/w\0"
            "22\0"
            "2\0NOFILE=64\0AS=unlimited\0"
            "1\0A=1\0"
            "2\0ls\0-l\0"
            "\0"s);
}

TEST(GuestRequest, CarriesAnEnvironmentOfMegabytes) {
  auto request = example();
  for (int i = 0; i < 48; ++i) {
    request.environment.push_back("BIG" + std::to_string(i) + '=' + std::string(100 << 10, 'x'));
  }

  const auto read = parse_guest_request(bytes_of(request));

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->environment, request.environment);
}

TEST(GuestRequest, KeepsANonexistentFolderAndAnEmptyEnvironment) {
  const auto read = parse_guest_request(bytes_of({.command = {"true"}}));

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->working_directory, "");
  EXPECT_THAT(read->environment, IsEmpty());
}

TEST(GuestRequest, LeavesOutEntriesThatAreNoVariables) {
  const auto read = parse_guest_request(
      bytes_of({.environment = {"A=1", "junk", "=x", "", "B=2"}, .command = {"true"}}));

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->environment, ElementsAre("A=1", "B=2"));
}

TEST(GuestRequest, LeavesOutALimitThatThisSideDoesNotKnow) {
  const auto read = parse_guest_request(
      "spank-cloud-task-1\0/\0"
      "22\0"
      "2\0TEA=3\0NOFILE=64\0"
      "0\0"
      "1\0true\0"
      "\0"s);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->limits, ElementsAre(GuestLimit{RLIMIT_NOFILE, 64}));
}

TEST(GuestRequest, IsNotWrittenWithoutACommand) {
  const auto bytes = serialise({.environment = {"A=1"}});

  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().blame, Blame::user);
  EXPECT_EQ(bytes.error().message, "a task has no command");
}

TEST(GuestRequest, IsNotWrittenWithANulByteInAText) {
  auto in_folder = example();
  in_folder.working_directory = "/a\0b"s;
  auto in_variable = example();
  in_variable.environment.push_back("A=\0"s);
  auto in_command = example();
  in_command.command.push_back("\0"s);

  for (const auto& request : {in_folder, in_variable, in_command}) {
    const auto bytes = serialise(request);
    ASSERT_FALSE(bytes);
    EXPECT_THAT(bytes.error().message, HasSubstr("holds a NUL byte"));
  }
}

TEST(GuestRequest, IsNotWrittenBeyondItsGreatestLength) {
  auto request = example();
  request.environment.push_back("A=" + std::string(kGuestRequestMax, 'x'));

  const auto bytes = serialise(request);

  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().blame, Blame::user);
  EXPECT_THAT(bytes.error().message, HasSubstr("67108864 at most"));
}

TEST(GuestRequest, CutAnywhereIsRefused) {
  const auto bytes = bytes_of(example());

  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto read = parse_guest_request(std::string_view{bytes}.substr(0, length));
    ASSERT_FALSE(read) << length;
    ASSERT_THAT(read.error().message, HasSubstr("a task's request is damaged")) << length;
  }
}

struct Damage {
  std::string bytes;
  const char* reason;
};
class DamagedRequest : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedRequest, IsRefusedWithTheReason) {
  const auto read = parse_guest_request(GetParam().bytes);

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().blame, Blame::internal);
  EXPECT_THAT(read.error().message, HasSubstr(GetParam().reason));
}

const std::string kHead = "spank-cloud-task-1\0/\0"s;
INSTANTIATE_TEST_SUITE_P(
    Requests, DamagedRequest,
    ::testing::Values(
        Damage{"", "does not begin with spank-cloud-task-1"},
        Damage{"spank-cloud-task-2\0/\0"s, "does not begin with spank-cloud-task-1"},
        Damage{kHead + "8\0"s, "no umask"}, Damage{kHead + "1777\0"s, "no umask"},
        Damage{kHead + "-1\0"s, "no umask"}, Damage{kHead + "22\0x\0"s, "no limits"},
        Damage{kHead + "22\0"s + "1\0NOFILE\0"s, "no limit: 'NOFILE'"},
        Damage{kHead + "22\0"s + "1\0NOFILE=-1\0"s, "no limit: 'NOFILE=-1'"},
        Damage{kHead + "22\0"s + "0\0"s + "99999999999999999999\0"s, "no environment"},
        Damage{kHead + "22\0"s + "0\0"s + "1000000000\0A=1\0"s, "no environment"},
        Damage{kHead + "22\0"s + "0\0"s + "1\0A\0"s + "1\0true\0"s, "no environment"},
        Damage{kHead + "22\0"s + "0\0"s + "0\0"s + "0\0"s, "no command"},
        Damage{kHead + "22\0"s + "0\0"s + "0\0"s + "1\0true\0"s, "no script"},
        Damage{kHead + "22\0"s + "0\0"s + "0\0"s + "1\0true\0"s + "\0x"s, "bytes follow its end"}));

TEST(GuestStatus, TellsAnExitFromASignal) {
  EXPECT_EQ(guest_status_text(7 << 8), "exited 7");
  EXPECT_EQ(guest_exit_status(7 << 8), 7);
  EXPECT_EQ(guest_status_text(9), "signalled 9");
  EXPECT_EQ(guest_exit_status(9), 137);
  EXPECT_EQ(guest_status_text(6 | 0x80), "signalled 6");
}

TEST(GuestStatus, IsReadAsItWasWritten) {
  for (const int status : {0, 7 << 8, 255 << 8, 9, 64}) {
    EXPECT_EQ(parse_guest_status(guest_status_text(status)), status);
  }
}

TEST(GuestStatus, OfNoEndThatAProcessHasIsRefused) {
  // 127 in the place of a signal is a process that was stopped, 0 one that ended well.
  for (const char* text : {"", "exited", "exited ", "exited x", "exited 256", "exited -1",
                           "exited 7 ", "exited 4294967296", "signalled 0", "signalled 65",
                           "signalled 127", "stopped 9", " 0", "exited  0"}) {
    EXPECT_EQ(parse_guest_status(text), std::nullopt) << text;
  }
}

TEST(GuestToken, IsHexadecimalAndShort) {
  EXPECT_TRUE(is_guest_token("0123456789abcdef"));
  EXPECT_TRUE(is_guest_token(std::string(64, 'a')));
  for (const auto& text : {""s, "0A"s, "0 1"s, "$(id)"s, "01\n"s, std::string(65, 'a')}) {
    EXPECT_FALSE(is_guest_token(text)) << text;
  }
}

}  // namespace
}  // namespace cloud
