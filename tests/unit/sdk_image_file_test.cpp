// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <spank-cloud/image_file.hpp>
#include <thread>

#include "tests/unit/temporary_folder.hpp"

namespace cloud::sdk {
namespace {

// Renames without pause, as anybody may on the host: then the kernel does not trust ".." in a path
// that must stay below a root.
class Renamer {
 public:
  explicit Renamer(const std::string& folder) : one_{folder + "/one"}, other_{folder + "/other"} {
    std::filesystem::create_directory(one_);
    thread_ = std::thread{[this] {
      while (!is_over_) {
        std::rename(one_.c_str(), other_.c_str());
        std::rename(other_.c_str(), one_.c_str());
      }
    }};
  }
  ~Renamer() {
    is_over_ = true;
    thread_.join();
  }
  Renamer(const Renamer&) = delete;
  Renamer& operator=(const Renamer&) = delete;

 private:
  std::string one_, other_;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

TEST(SdkImageFile, IsOpenedWhileTheHostRenames) {
  constexpr int kMost = 2000000;
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/b");
  std::ofstream{folder / "a/b/file"} << "text";
  const std::string path = "a/b/../b/../b/../b/file";
  const Descriptor root{::open(folder.path().c_str(), O_PATH | O_DIRECTORY)};
  ASSERT_TRUE(root);
  const Renamer renamer{folder.path()};
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // Until the kernel has said no some times to who asks once.
  int refused = 0;
  for (int i = 0; i < kMost && refused < 20; ++i) {
    const Descriptor once{
        static_cast<int>(::syscall(SYS_openat2, root.value(), path.c_str(), &how, sizeof how))};
    if (!once) {
      ASSERT_EQ(errno, EAGAIN);
      ++refused;
    }
    const Descriptor file{open_in_root(root.value(), path, O_RDONLY)};
    ASSERT_TRUE(file) << "attempt " << i << ": " << std::strerror(errno);
  }
  if (refused < 20) GTEST_SKIP() << "the kernel trusts every path here";
}

}  // namespace
}  // namespace cloud::sdk
