// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace cloud::sdk {

/// A control group of a test's own, in the hierarchy of version 2, also where that is beside
/// version 1.
class TestCgroup {
 public:
  static constexpr const char* kMissing = "no cgroup version 2 here, also none beside version 1";

  /// "/spank-cloud-WHAT-PID", and `below` in it; false where the node has no version 2.
  [[nodiscard]] bool make(const std::string& what, const std::string& below = "") {
    name_ = "/spank-cloud-" + what + "-" + std::to_string(::getpid());
    for (const auto* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
      if (std::filesystem::exists(std::string{root} + "/cgroup.procs")) folder_ = root + name_;
    }
    below_ = below;
    if (!folder_.empty()) std::filesystem::create_directories(folder_ + below_);
    return !folder_.empty();
  }
  /// Where it was made: nothing may be in it any more.
  void remove() const {
    if (folder_.empty()) return;
    if (!below_.empty()) {
      EXPECT_EQ(::rmdir((folder_ + below_).c_str()), 0);
    }
    EXPECT_EQ(::rmdir(folder_.c_str()), 0);
  }

  [[nodiscard]] const std::string& name() const { return name_; }      ///< as a backend is given it
  [[nodiscard]] const std::string& folder() const { return folder_; }  ///< "" where there is none

 private:
  std::string name_;
  std::string folder_;
  std::string below_;
};

}  // namespace cloud::sdk
