// SPDX-License-Identifier: Apache-2.0
#include "core/machine/image_digest.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "core/system/unique_fd.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* kDigestOfOne =
    "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

class ImageDigest : public ::testing::Test {
 protected:
  void SetUp() override { write("one"); }

  void write(const std::string& content) const {
    std::ofstream{image_.path, std::ios::trunc} << content;
  }
  [[nodiscard]] Result<void> check(const std::function<bool()>& cancelled = [] {
    return false;
  }) const {
    return check_image_digests(image_, notes_, cancelled);
  }
  // The lock of the one note that there is, or will be.
  [[nodiscard]] std::string lock_file() const {
    for (const auto& entry : std::filesystem::directory_iterator{notes_}) {
      if (entry.path().extension() == ".lock") return entry.path().string();
    }
    return {};
  }

  TemporaryFolder folder_;
  std::string notes_ = folder_ / "notes";
  ImageConfig image_ = [&] {
    ImageConfig image;
    image.name = "image";
    image.path = folder_ / "image";
    image.sha256 = kDigestOfOne;
    return image;
  }();
};

TEST_F(ImageDigest, IsOfWhatTheFileHas) {
  EXPECT_TRUE(check());
  write("two");
  const auto changed = check();

  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().blame, Blame::site);
  EXPECT_THAT(changed.error().message, HasSubstr("of image 'image' has the SHA-256 "));
}

// Two changes within the clock's tick leave the same times.
TEST_F(ImageDigest, IsNotRememberedOfAFileThatHasJustChanged) {
  ASSERT_TRUE(check());
  ASSERT_TRUE(check());

  for (const auto& entry : std::filesystem::directory_iterator{notes_}) {
    EXPECT_EQ(entry.path().extension(), ".lock");
  }
}

TEST_F(ImageDigest, IsNotWaitedForWhenTheJobIsCancelled) {
  ASSERT_TRUE(check());
  const UniqueFd others{::open(lock_file().c_str(), O_RDWR | O_CLOEXEC)};
  ASSERT_TRUE(others);
  ASSERT_EQ(::flock(others.value(), LOCK_EX), 0);
  int asked = 0;

  const auto begun = std::chrono::steady_clock::now();
  const auto checked = check([&] { return ++asked > 2; });

  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().blame, Blame::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

TEST_F(ImageDigest, IsNotReadToTheEndWhenTheJobIsCancelled) {
  // Sparse, and more than can be read while this test runs.
  std::filesystem::resize_file(image_.path, std::uintmax_t{1} << 40);
  int asked = 0;

  const auto checked = check([&] { return ++asked > 5; });

  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().blame, Blame::cancelled);
}

}  // namespace
}  // namespace cloud
