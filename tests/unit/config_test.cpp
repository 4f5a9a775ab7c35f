// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/config/site_config.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr auto kFolder = CLOUD_TEST_CONFIG_DIR;

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator{kFolder + ("/" + folder)}) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// "# expect: 4:1: unknown key" at the head of a file.
std::vector<std::string> expectations(const std::string& file) {
  constexpr std::string_view kMark = "# expect: ";
  std::vector<std::string> found;
  std::ifstream stream{file};
  for (std::string line; std::getline(stream, line) && line.starts_with(kMark);) {
    found.push_back(line.substr(kMark.size()));
  }
  return found;
}

class BadConfig : public ::testing::TestWithParam<std::string> {};

TEST_P(BadConfig, IsReportedWithPlaceAndReason) {
  const auto expected = expectations(GetParam());

  const auto loaded = load_site_config(GetParam());

  const auto found = loaded.report.sorted();
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(found.size(), expected.size()) << loaded.report.text();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& where = found[i].where;
    const auto text =
        std::to_string(where.line) + ":" + std::to_string(where.column) + ": " + found[i].message;
    EXPECT_THAT(text, ::testing::StartsWith(expected[i].substr(0, expected[i].find(' ') + 1)));
    EXPECT_THAT(text, HasSubstr(expected[i].substr(expected[i].find(' ') + 1)));
  }
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  auto name = fs::path{info.param}.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, BadConfig, ::testing::ValuesIn(files_in("bad")), test_name);

TEST(SiteConfig, ShippedExampleHasNoMistakes) {
  const auto loaded = load_site_config(CLOUD_TEST_EXAMPLE_CONFIG);

  EXPECT_EQ(loaded.report.text(), "");
  ASSERT_NE(loaded.config.backend("lxc"), nullptr);
  EXPECT_EQ(loaded.config.backend("lxc")->image, "debian12");
  EXPECT_EQ(loaded.config.pool("machines")->bridge, "br0");
  EXPECT_EQ(loaded.config.prolog.size(), 2U);
}

TEST(SiteConfig, ReadsEveryKey) {
  const auto loaded = load_site_config(std::string{kFolder} + "/good/everything.toml");

  ASSERT_EQ(loaded.report.text(), "");
  const auto& config = loaded.config;
  EXPECT_EQ(config.default_type, "lxc");
  EXPECT_EQ(config.default_run, RunMode::all);
  EXPECT_EQ(config.boot_timeout, std::chrono::minutes{5});
  EXPECT_FALSE(config.mount_home);
  EXPECT_EQ(config.backend("lxc")->settings.size(), 2U);
  EXPECT_EQ(config.backend("off"), nullptr);
  EXPECT_EQ(config.image("squashed")->format, "squashfs");
  EXPECT_EQ(config.image("disk")->format, "qcow2");
  EXPECT_EQ(config.image("disk")->settings.at(0).key, "firmware");
  EXPECT_EQ(config.image("direct")->format, "kernel");
  EXPECT_EQ(config.image("direct")->initrd_sha256.substr(0, 8), "01234567");
  EXPECT_FALSE(config.pool("machines")->isolate);
  EXPECT_EQ(config.stall_timeout, std::chrono::seconds{20});
  EXPECT_EQ(config.image_names("lxc"), "debian, squashed");
  EXPECT_EQ(config.mounts.front().target, "/scratch");
  ASSERT_EQ(config.prolog.size(), 3U);
  EXPECT_EQ(config.prolog[0].when, StageConfig::When::always);
  EXPECT_EQ(config.prolog[0].on_error, OnError::drain_node);
  EXPECT_EQ(config.prolog[1].action, StageAction::lease_address);
}

TEST(SiteConfig, GivesTheDefaultStagesWhereNoneAreNamed) {
  const auto loaded = load_site_config(std::string{kFolder} + "/good/minimal.toml");

  ASSERT_EQ(loaded.report.text(), "");
  ASSERT_EQ(loaded.config.prolog.size(), 2U);
  EXPECT_EQ(loaded.config.prolog[0].action, StageAction::lease_address);
  EXPECT_EQ(loaded.config.prolog[1].action, StageAction::create_machine);
  EXPECT_EQ(loaded.config.epilog[0].action, StageAction::destroy_machine);
}

TEST(SiteConfig, NamesBothPlacesOfAKeyThatAnotherFileRepeats) {
  const auto loaded = load_site_config(std::string{kFolder} + "/twice/cloud.toml");

  const auto found = loaded.report.sorted();
  ASSERT_EQ(found.size(), 2U) << loaded.report.text();
  EXPECT_THAT(found[0].where.file, HasSubstr("conf.d/more.toml"));
  EXPECT_THAT(found[0].message, HasSubstr("'cloud.default_run' is defined before, at"));
  EXPECT_THAT(found[0].message, HasSubstr("twice/cloud.toml:2:1"));
  EXPECT_THAT(found[1].message, HasSubstr("[backend.lxc] is defined before"));
}

TEST(SiteConfig, ReportsAMissingFileWithoutALine) {
  const auto loaded = load_site_config("/no/such/cloud.toml");

  EXPECT_THAT(
      loaded.report.text(),
      HasSubstr("/no/such/cloud.toml: error: cannot be read: open /no/such/cloud.toml: No such"));
}

TEST(Report, ShowsTheLineWithACaretBelowTheColumn) {
  const auto file = std::string{kFolder} + "/bad/unknown-key.toml";

  const auto text = load_site_config(file).report.text();

  EXPECT_THAT(text, HasSubstr(file + ":3:1: error: unknown key 'boot_timeuot'; did you mean "
                                     "'boot_timeout'?\n  boot_timeuot = \"5s\"\n  ^\n"));
}

}  // namespace
}  // namespace cloud
