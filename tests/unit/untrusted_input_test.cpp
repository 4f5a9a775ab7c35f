// SPDX-License-Identifier: Apache-2.0
//
// What others have written, and root reads, shows or mounts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/config/site_config.hpp"
#include "core/machine/mount_source.hpp"
#include "core/machine/user_account.hpp"
#include "core/system/harmless_text.hpp"
#include "core/system/unique_fd.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using ::testing::HasSubstr;

TEST(HarmlessText, KeepsWhatPeopleRead) {
  const std::string text = "a\tb\r\nGrüße, 日本語 and \xF0\x9F\x90\xA7\n";
  HarmlessText filter;

  EXPECT_EQ(filter.pass(text), text);
  EXPECT_EQ(filter.end(), "");
}

TEST(HarmlessText, TakesOutWhatSteersATerminal) {
  HarmlessText filter;

  EXPECT_EQ(filter.pass("\033]0;x\007"), "?]0;x?");
  EXPECT_EQ(filter.pass("\xC2\x9B"
                        "31m"),
            "?31m")
      << "CSI as one control character, U+009B";
  EXPECT_EQ(filter.pass("\x9B"
                        "31m"),
            "?31m")
      << "and as one byte";
  EXPECT_EQ(filter.pass("a\xE2\x80\xAE"
                        "b"),
            "a?b")
      << "U+202E turns around what follows";
  EXPECT_EQ(filter.pass("\xC0\x9B"), "??") << "overlong";
  EXPECT_EQ(filter.pass("\xED\xA0\x80"), "?") << "a half of a pair";
  EXPECT_EQ(filter.pass("\xF5\xFF\x7F"), "???");
}

TEST(HarmlessText, IsTheSameInPieces) {
  const std::string text = "x\xC2\x9By日\033\xE2\x82";
  HarmlessText whole;
  auto expected = whole.pass(text);
  expected += whole.end();
  HarmlessText filter;

  std::string shown;
  for (const char byte : text) shown += filter.pass({&byte, 1});
  shown += filter.end();

  EXPECT_EQ(shown, expected);
  EXPECT_EQ(shown, "x?y日?\?\?");
}

TEST(HarmlessText, IsOneLine) {
  EXPECT_EQ(harmless_line("all is well\nlevel=error \033[2J"), "all is well level=error ?[2J");
}

constexpr const char* kMounts =
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "2 1 0:5 / /proc rw - proc proc rw\n"
    "3 1 8:2 / /data rw - ext4 /dev/sdb rw\n"
    "4 3 8:3 / /data/in\\040here rw - ext4 /dev/sdc rw\n"
    "5 1 8:4 / /database rw - ext4 /dev/sdd rw\n";

TEST(MountSource, IsCountedWithWhatIsBelowIt) {
  EXPECT_EQ(count_mounts(kMounts, "/"), 5U);
  EXPECT_EQ(count_mounts(kMounts, "/data"), 2U);
  EXPECT_EQ(count_mounts(kMounts, "/data/in here"), 1U);
  EXPECT_EQ(count_mounts(kMounts, "/home"), 1U);
}

TEST(MountSource, IsNoneOfOurOwnFolders) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "lib/state/n1");
  std::filesystem::create_directories(folder / "home");
  std::ofstream{folder / "lib/state/n1/file"} << "x";
  std::ofstream{folder / "lib/file"} << "x";
  std::filesystem::create_directory_symlink(folder / "lib", folder / "home/link");
  const auto judge = [&](const std::string& path) -> std::string {
    const UniqueFd source{::open((folder / path).c_str(), O_PATH | O_CLOEXEC)};
    EXPECT_TRUE(source) << path;
    const auto good =
        require_foreign_source(source.value(), {folder / "none", folder / "lib/state"}, path);
    return good ? "" : good.error().message;
  };

  EXPECT_EQ(judge("home"), "");
  EXPECT_EQ(judge("lib/file"), "");
  EXPECT_THAT(judge("."), HasSubstr("contains " + folder / "lib/state"));
  EXPECT_THAT(judge("home/link"), HasSubstr("contains"));
  EXPECT_THAT(judge("lib/state"), HasSubstr("contains"));
  EXPECT_THAT(judge("lib/state/n1"), HasSubstr("lies in"));
  EXPECT_THAT(judge("lib/state/n1/file"), HasSubstr("lies in"));
}

class ReadAsUser : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::getuid() != 0) GTEST_SKIP() << "needs root, to become another user";
    user_.uid = user_.gid = 12345;
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    std::ofstream{folder_ / "open"} << "text";
    std::ofstream{folder_ / "closed"} << "text";
    ASSERT_EQ(::chmod((folder_ / "open").c_str(), 0644), 0);
    ASSERT_EQ(::chmod((folder_ / "closed").c_str(), 0600), 0);
  }
  [[nodiscard]] Result<std::string> read(const std::string& path) const {
    return read_as_user(user_, path, "--x", 100);
  }
  MachineUser user_;
  TemporaryFolder folder_;
};

TEST_F(ReadAsUser, ReadsWhatTheUserMay) {
  EXPECT_EQ(*read(folder_ / "open"), "text");
  EXPECT_THAT(read(folder_ / "closed").error().message, HasSubstr("Permission denied"));
  EXPECT_THAT(read(folder_ / "none").error().message, HasSubstr("No such file"));
  EXPECT_THAT(read(folder_.path()).error().message, HasSubstr("no regular file"));
  EXPECT_THAT(read("/proc/kallsyms").error().message, HasSubstr("longer than 100 bytes"));
}

// The kernel answers at the opening, or at the reading, and not by the file's mode.
TEST_F(ReadAsUser, ReadsNothingThatIsRootsAlone) {
  EXPECT_FALSE(read("/proc/1/environ"));
  EXPECT_FALSE(read("/proc/" + std::to_string(::getpid()) + "/maps"));
  EXPECT_FALSE(read("/proc/self/fd/0"));
}

TEST(TrustedConfiguration, IsNothingWhereOneFileIsNot) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to give files away";
  const auto folder = "/var/lib/spank-cloud-config-test-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder + "/conf.d");
  std::ofstream{folder + "/cloud.toml"} << "[cloud]\nmount_home = false\n[backend.null]\n";
  std::ofstream{folder + "/conf.d/a.toml"} << "[cloud]\nboot_timeout = \"7s\"\n";

  EXPECT_EQ(load_trusted_site_config(folder + "/cloud.toml").report.text(), "");
  EXPECT_EQ(load_trusted_site_config(folder + "/cloud.toml").config.boot_timeout.count(), 7);

  ASSERT_EQ(::chmod((folder + "/conf.d/a.toml").c_str(), 0666), 0);
  const auto loaded = load_trusted_site_config(folder + "/cloud.toml");
  std::filesystem::remove_all(folder);

  EXPECT_THAT(loaded.report.text(), HasSubstr("conf.d/a.toml (mode 0666) is writable by others"));
  EXPECT_TRUE(loaded.config.backends.empty());
  EXPECT_TRUE(loaded.config.mount_home) << "not a word of it";
}

}  // namespace
}  // namespace cloud
