// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "backends/kvm/node_check.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud::kvm {
namespace {

using ::testing::HasSubstr;

template <typename Check>
std::string refusal(Check&& check) {
  try {
    check();
  } catch (const sdk::Failure& failure) {
    return failure.what();
  }
  return {};
}

TEST(KvmNode, NamesTheFileThatIsMissingAndItsPackage) {
  const TemporaryFolder folder;
  const std::vector<NeededFile> files{{"qemu_img", folder / "qemu-img", true, "qemu-utils"}};
  EXPECT_EQ(refusal([&] { require_files(files); }),
            "'qemu_img': " + folder / "qemu-img" +
                ": No such file or directory: apt-get install qemu-utils, or name another");
  std::ofstream{folder / "qemu-img"} << "#!/bin/sh\n";
  EXPECT_THAT(refusal([&] { require_files(files); }), HasSubstr("Permission denied"));
  ::chmod((folder / "qemu-img").c_str(), 0755);
  EXPECT_EQ(refusal([&] { require_files(files); }), "");
  EXPECT_EQ(refusal([] { require_files({{"emulator", "", true, ""}}); }), "");
}

TEST(KvmNode, WantsAWayToTheDomainsFolders) {
  const TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0750);
  EXPECT_THAT(refusal([&] { require_traversable(folder.path()); }),
              HasSubstr("has mode 0750, so that a machine's QEMU"));
  ::chmod(folder.path().c_str(), 0751);
  EXPECT_EQ(refusal([&] { require_traversable(folder.path()); }), "");
  EXPECT_EQ(refusal([&] { require_traversable(folder / "absent"); }), "");
}

TEST(KvmNode, NeedsADeviceOnlyWhereItShallBeUsed) {
  const TemporaryFolder folder;
  const auto examine = [&](const char* accel) {
    return refusal([&] { examine_kvm_device(folder / "kvm", accel, sdk::Host{nullptr}); });
  };
  EXPECT_THAT(examine("kvm"), HasSubstr("is not there: modprobe"));
  EXPECT_EQ(examine("tcg"), "");
}

}  // namespace
}  // namespace cloud::kvm
