// SPDX-License-Identifier: Apache-2.0
//
// What else the SDK gives to authors of backends, against the kernel.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <spank-cloud/account_files.hpp>
#include <spank-cloud/mount_tree.hpp>
#include <spank-cloud/registry.hpp>

#include "tests/unit/sdk_user.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud::sdk {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SdkRegistry, KnowsWhatWasAddedAndNotRemoved) {
  const TemporaryFolder folder;
  const Registry registry{folder.path() + "/marks"};
  const auto names = [&] {
    std::set<std::string> found;
    registry.visit([&](const std::string& name) { found.insert(name); });
    return found;
  };

  EXPECT_THAT(names(), ElementsAre());
  registry.add("sc-n1-1");
  registry.add("sc-n1-2");
  registry.add("sc-n1-2");
  registry.remove("sc-n1-1");
  registry.remove("sc-n1-1");

  EXPECT_THAT(names(), ElementsAre("sc-n1-2"));
  EXPECT_TRUE(Registry{folder.path() + "/marks"}.has("sc-n1-2"));
  EXPECT_FALSE(registry.has("sc-n1-1"));
}

TEST(SdkRegistry, TakesNoPathForAName) {
  const Registry registry{"/run"};

  EXPECT_EQ(failure_of([&] { registry.add("../x"); }, CLOUD_E_INTERNAL), "bad machine name '../x'");
  EXPECT_EQ(failure_of([&] { registry.remove(""); }, CLOUD_E_INTERNAL), "bad machine name ''");
}

TEST(SdkAccounts, PutTheUserInPlaceOfTheImagesOwn) {
  EXPECT_EQ(
      passwd_text(some_user(), "root:x:0:0::/:/bin/sh\nbob:x:31001:1::/:/bin/sh\n", "/bin/sh"),
      "ann:x:31001:31002::/home/ann:/bin/sh\nroot:x:0:0::/:/bin/sh\n");
  EXPECT_EQ(group_text(some_user(), "root:x:0:\nstaff:x:100:bob\n"),
            "users:x:100:ann\ngroup31000:x:31000:ann\nann:x:31002:ann\nroot:x:0:\n");
}

TEST(SdkAccounts, LetNoNameMakeALineOfItsOwn) {
  auto user = some_user();
  user.name = "x\nroot2:x:0:0::/:/bin/sh";
  user.home = "/home:0";

  EXPECT_EQ(passwd_text(user, "", "/bin/sh"),
            "root:x:0:0:root:/root:/bin/sh\nuser31001:x:31001:31002::/:/bin/sh\n");
}

TEST(SdkAccounts, AreReadInsideTheImageAlone) {
  const TemporaryFolder folder;
  const auto image = folder.path() + "/image";
  fs::create_directories(image + "/etc");
  fs::create_directory(folder.path() + "/work");
  std::ofstream{folder.path() + "/secret"} << "secret:x:7:7::/:/bin/sh\n";
  fs::create_symlink("../../secret", image + "/etc/passwd");
  fs::create_symlink("/etc/other", image + "/etc/group");
  std::ofstream{image + "/etc/other"} << "inside:x:7:\n";

  write_account_files(some_user(), image, folder.path() + "/work");

  const auto text = [&](const char* name) {
    std::ifstream file{folder.path() + "/work/" + name};
    return std::string{std::istreambuf_iterator<char>{file}, {}};
  };
  EXPECT_THAT(text("passwd"), testing::Not(HasSubstr("secret")));
  EXPECT_THAT(text("group"), HasSubstr("inside:x:7:\n"));
}

TEST(SdkMount, ShowsWhatTheDescriptorStandsFor) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounts, and this is not root";
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder.path() + "/" + name; };
  fs::create_directory(path("source"));
  std::ofstream{path("source/file")} << "right";
  // JUSTIFICATION: what is mounted goes with the process that has a mount namespace of its own.
  const auto child = [&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      ::_exit(2);
    }
    const Descriptor source{::open(path("source").c_str(), O_PATH | O_CLOEXEC)};
    // What stands at the path now is another folder.
    fs::rename(path("source"), path("moved"));
    fs::create_directory(path("source"));
    mount_at({sizeof(cloud_mount), 1, source.value(), path("source").c_str(), "/data"},
             path("place"));
    std::string word;
    std::ifstream{path("place/file")} >> word;
    const bool is_writable = std::ofstream{path("place/new")}.good();
    ::_exit(word == "right" && !is_writable ? 0 : 1);
  };

  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST(SdkMount, ArePlacedInTheMachinesFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounts, and this is not root";
  const TemporaryFolder folder;
  fs::create_directories(folder / "outer");
  std::ofstream{folder / "file"} << "inside";
  // JUSTIFICATION: as above.
  const auto child = [&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      ::_exit(2);
    }
    const Descriptor outer{::open((folder / "outer").c_str(), O_PATH | O_CLOEXEC)};
    const Descriptor file{::open((folder / "file").c_str(), O_PATH | O_CLOEXEC)};
    const cloud_mount mounts[] = {{sizeof(cloud_mount), 1, file.value(), "", "/data/file"},
                                  {sizeof(cloud_mount), 0, outer.value(), "", "/data"}};
    cloud_machine_spec spec{};
    spec.work_dir = folder.path().c_str();
    spec.mounts = mounts;
    spec.mount_count = 2;

    const auto placed = place_mounts(spec);

    std::string word;
    std::ifstream{placed.at(1).path} >> word;
    const bool good = placed.size() == 2 && placed[0].target == "/data" && !placed[0].read_only &&
                      placed[1].target == "/data/file" && placed[1].read_only && word == "inside" &&
                      placed[0].path == folder / "mount0" && placed[1].path == folder / "mount1" &&
                      std::ofstream{placed[0].path + "/new"}.good() &&
                      !std::ofstream{placed[1].path}.good();
    ::_exit(good ? 0 : 1);
  };

  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST(SdkMount, TakesFoldersAndFilesAlone) {
  const TemporaryFolder folder;
  const Descriptor device{::open("/dev/null", O_PATH | O_CLOEXEC)};
  const cloud_mount mount{sizeof mount, 0, device.value(), "/dev/null", "/data"};

  EXPECT_EQ(failure_of([&] { mount_at(mount, folder.path() + "/x"); }, CLOUD_E_REQUEST),
            "mount /dev/null at /data: only folders and regular files can be mounted");
}

TEST(SdkMount, OfAFolderComesBeforeThatOfWhatLiesInIt) {
  const cloud_mount mounts[] = {{sizeof(cloud_mount), 0, -1, "", "/data/inner"},
                                {sizeof(cloud_mount), 0, -1, "", "/home"},
                                {sizeof(cloud_mount), 0, -1, "", "/data"}};
  cloud_machine_spec spec{};
  spec.mounts = mounts;
  spec.mount_count = 3;

  EXPECT_THAT(mounts_in_order(spec), ElementsAre(&mounts[1], &mounts[2], &mounts[0]));
}

}  // namespace
}  // namespace cloud::sdk
