// SPDX-License-Identifier: Apache-2.0
#include "core/job/request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/job/published_state.hpp"
#include "core/job/record.hpp"

namespace cloud {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string, std::less<>>;

Lookup in(Variables variables) {
  return [variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  };
}

class HostileText : public ::testing::TestWithParam<std::string> {};

TEST_P(HostileText, IsNoTypeAndNoImage) {
  EXPECT_FALSE(parse_type(GetParam()));
  EXPECT_FALSE(parse_image(GetParam()));
  EXPECT_FALSE(parse_run(GetParam()));
  EXPECT_FALSE(parse_create(GetParam()));
  EXPECT_FALSE(parse_mounts(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Values, HostileText,
                         ::testing::Values("", " ", "a b", "a\nb", "a;b", "$(reboot)", "`reboot`",
                                           "../lxc", "a/../b", "-x", "%n", "a..b",
                                           std::string(300, 'a'), std::string(1 << 20, 'a'),
                                           "l\xc3\xa7", "\xff\xfe", std::string("a\0b", 3), "a'b",
                                           "a\"b", "a\\b", "*", "~", "a|b", "a&b", "<a>"));

TEST(Request, MessagesNeverCarryControlCharacters) {
  const auto type = parse_type("a\n\x1b[31mred\xff");

  ASSERT_FALSE(type);
  EXPECT_EQ(type.error().blame, Blame::user);
  for (const char c : type.error().message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  EXPECT_THAT(type.error().message, HasSubstr("'a??[31mred?'"));
}

TEST(Request, CutsALongValueInItsMessage) {
  EXPECT_LT(parse_type(std::string(1 << 20, 'a')).error().message.size(), 300U);
}

TEST(Mounts, ReadsSourceTargetAndMode) {
  const auto mounts = parse_mounts("/a,/b:/c,/d:ro,/e//f/:/g:ro,/\xc3\xa4 x:/y");

  ASSERT_TRUE(mounts) << mounts.error().message;
  ASSERT_EQ(mounts->size(), 5U);
  EXPECT_EQ((*mounts)[0].target, "/a");
  EXPECT_EQ((*mounts)[1].target, "/c");
  EXPECT_TRUE((*mounts)[2].read_only);
  EXPECT_EQ((*mounts)[3].source, "/e/f");
  EXPECT_EQ((*mounts)[4].source, "/\xc3\xa4 x");
}

TEST(Mounts, SaysWhatIsWrong) {
  const std::map<std::string, std::string> wrong{{"/a:/", "shall not be /"},
                                                 {"/a:/proc", "/proc"},
                                                 {"/a:/sys/x", "/sys"},
                                                 {"/a:/dev/sda", "/dev"},
                                                 {"/a:/b:/c", "choose SRC[:DST][:ro]"},
                                                 {"a:/b", "the source shall be an absolute path"},
                                                 {"/a:b", "the target shall be an absolute path"},
                                                 {"/a/../b", "'..'"},
                                                 {"/a:/x,/b:/x", "/x is there twice"},
                                                 {"/a,", "absolute path"},
                                                 {"/a\nb", "printable"},
                                                 {"/" + std::string(2000, 'a'), "1024"}};
  for (const auto& [text, reason] : wrong) {
    const auto mounts = parse_mounts(text);
    ASSERT_FALSE(mounts) << text;
    EXPECT_THAT(mounts.error().message, HasSubstr(reason)) << text;
  }
  EXPECT_TRUE(parse_mounts("/a:/processes"));
}

TEST(Request, IsNoneWithoutAnyOption) {
  EXPECT_FALSE(parse_request(in({}), "lxc")->has_value());
}

TEST(Request, TakesTheSitesDefaultTypeForALoneImage) {
  const auto request = parse_request(in({{"SPANK_cloud_image", "x"}}), "lxc");

  ASSERT_TRUE(request && *request);
  EXPECT_EQ((*request)->type, "lxc");
}

TEST(Request, RefusesALoneImageWithoutASiteDefault) {
  const auto request = parse_request(in({{"SPANK_cloud_image", "x"}}), "");

  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("--cloud-image needs a type"));
}

TEST(Request, CreateNoTurnsItOff) {
  EXPECT_FALSE(parse_request(in({{"SPANK_cloud_type", "lxc"}, {"SPANK_cloud_create", "no"}}), "")
                   ->has_value());
}

TEST(Request, RefusesAContradiction) {
  const auto request = parse_request(in({{"SPANK_cloud", "lxc"}, {"SPANK_cloud_type", "kvm"}}), "");

  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("contradict"));
}

TEST(PublishedState, ComesBackAsItWasWritten) {
  PublishedState state;
  state.job_id = 7;
  state.phase = MachinePhase::failed;
  state.reason = "no such\nimage = x";
  state.init_start_time = 123456789012;

  const auto back = parse_published_state(serialize(state));

  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->reason, "no such image = x");
  EXPECT_EQ(back->phase, MachinePhase::failed);
  EXPECT_EQ(back->init_start_time, state.init_start_time);
}

TEST(PublishedState, RefusesAnotherProtocolAndATornFile) {
  PublishedState state;
  state.job_id = 7;
  auto text = serialize(state);

  EXPECT_THAT(parse_published_state(text.substr(0, text.size() - 3)).error().message,
              HasSubstr("torn"));
  text.replace(0, 10, "protocol=9");
  EXPECT_THAT(parse_published_state(text).error().message, HasSubstr("speaks protocol 9"));
  EXPECT_THAT(parse_published_state("").error().message, HasSubstr("protocol 0"));
}

JobRecord full_record() {
  JobRecord record;
  record.job_id = 42;
  record.restart_count = 3;
  record.node = "n1";
  record.user = "al\"ice";
  record.phase = RecordPhase::started;
  record.request = Request{"lxc",
                           "debian",
                           RunMode::all,
                           {{"/a", "/b", true}},
                           ReadyLevel::cloud_init,
                           std::chrono::seconds{90},
                           "/home/al/user-data"};
  record.lease = LeaseRecord{"pool", "10.0.0.1"};
  record.machine = MachineRecord{"lxc", "sc-n1-42", "/w", 1879048192, "/slurm/job_42"};
  record.stages.push_back({"prolog", "machine", StageState::failed, 1, 2, "x"});
  return record;
}

TEST(JobRecord, ComesBackAsItWasWritten) {
  const auto text = to_json(full_record());

  const auto back = record_from_json(text);

  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_json(*back), text);
  EXPECT_EQ(back->machine->subid_first, 1879048192U);
}

TEST(JobRecord, RefusesWhatIsTornForeignOrNewer) {
  const auto text = to_json(full_record());
  auto newer = text;
  newer.replace(newer.find("\"version\": 1"), 12, "\"version\": 2");

  EXPECT_THAT(record_from_json("").error().message, HasSubstr("cannot be read"));
  EXPECT_THAT(record_from_json(text.substr(0, text.size() / 2)).error().message,
              HasSubstr("cannot be read"));
  EXPECT_THAT(record_from_json("{}").error().message, HasSubstr("version"));
  EXPECT_THAT(record_from_json(newer).error().message, HasSubstr("has version 2"));
}

TEST(JobRecord, ReadsARequestThroughTheGrammarOfThePrologAgain) {
  auto text = to_json(full_record());
  text.replace(text.find("\"debian\""), 8, "\"../etc\"");

  EXPECT_THAT(record_from_json(text).error().message, HasSubstr("bad image name"));
}

}  // namespace
}  // namespace cloud
