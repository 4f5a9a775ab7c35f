// SPDX-License-Identifier: Apache-2.0
//
// The base of backends whose engine is a program, against the kernel.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <spank-cloud/container_backend.hpp>

#include "tests/unit/fake_engine.hpp"
#include "tests/unit/sdk_user.hpp"
#include "tests/unit/temporary_folder.hpp"
#include "tests/unit/test_cgroup.hpp"

namespace cloud::sdk {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

/// Its engine is unshare(1).
class Unshared : public ContainerBackend {
 public:
  Unshared(Host host, const std::string& registry) : ContainerBackend{host, registry} {}

  std::vector<std::string> engine{"/usr/bin/unshare", "--pid", "--fork", "--kill-child"};

  void prepare(const cloud_machine_spec& spec) { remember(spec); }
  void start(const cloud_machine_spec& spec, Deadline deadline) {
    require_stopped(spec);
    const UserNamespace machine{spec};
    run(spec, engine, machine, {}, deadline);
  }
};

class SdkContainer : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
    if (!group_.make("sdk-container", "/machine")) GTEST_SKIP() << TestCgroup::kMissing;
    engine_.folder = group_.folder() + "/machine";
    spec_.name = "sc-n1-7";
    spec_.cgroup = cgroup_.c_str();
    spec_.user = &user_;
    spec_.subid_first = 1879048192;
    ref_.name = spec_.name;
    ref_.cgroup = cgroup_.c_str();
  }
  void TearDown() override {
    if (group_.folder().empty()) return;
    kill_processes(cgroup_ + "/machine", soon(), Host{&nothing_});
    group_.remove();
  }

  // Each call is one of another process's: nothing is remembered.
  Unshared backend() { return {engine_.host(), registry_ / "marks"}; }
  cloud_machine_info info() {
    cloud_machine_info found{};
    backend().info(ref_, found);
    return found;
  }
  std::set<std::string> names() {
    std::set<std::string> found;
    backend().list([&](const std::string& name) { found.insert(name); });
    return found;
  }

  const TemporaryFolder registry_;
  FakeEngine engine_;
  cloud_host nothing_{};
  cloud_user user_ = some_user();
  TestCgroup group_;
  const std::string& cgroup_ = group_.name();
  cloud_machine_spec spec_{};
  cloud_machine_ref ref_{};
};

TEST_F(SdkContainer, LivesAWholeLifeAcrossObjects) {
  EXPECT_EQ(info().state, CLOUD_ABSENT);
  EXPECT_THAT(names(), ElementsAre());

  backend().prepare(spec_);
  EXPECT_EQ(info().state, CLOUD_PREPARED);
  EXPECT_THAT(names(), ElementsAre("sc-n1-7"));

  backend().start(spec_, soon());
  EXPECT_EQ(engine_.placed, cgroup_ + "/machine");
  EXPECT_NO_THROW(backend().wait_ready(ref_, soon(), {}));
  const auto running = info();
  EXPECT_EQ(running.state, CLOUD_RUNNING);
  struct stat init {};
  ASSERT_EQ(::stat(("/proc/" + std::to_string(running.init_pid)).c_str(), &init), 0);
  EXPECT_EQ(init.st_uid, spec_.subid_first);

  backend().stop(ref_, soon());
  EXPECT_EQ(info().state, CLOUD_PREPARED);
  EXPECT_EQ(failure_of([&] { backend().wait_ready(ref_, soon(), {}); }, CLOUD_E_NODE),
            "the machine has ended");
  backend().destroy(ref_, soon());
  backend().destroy(ref_, soon());
  EXPECT_EQ(info().state, CLOUD_ABSENT);
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(SdkContainer, IsDestroyedWhileItRuns) {
  backend().prepare(spec_);
  backend().start(spec_, soon());

  backend().destroy(ref_, soon());

  EXPECT_THAT(processes_of(cgroup_ + "/machine"), ElementsAre());
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(SdkContainer, IsNotStartedTwice) {
  backend().start(spec_, soon());
  const auto init = info().init_pid;

  EXPECT_EQ(failure_of([&] { backend().start(spec_, soon()); }, CLOUD_E_NODE),
            "machine 'sc-n1-7' runs already");

  EXPECT_EQ(info().init_pid, init);
}

TEST_F(SdkContainer, HasAnEngineThatSaysWhatWentWrong) {
  const auto start = [&](std::vector<std::string> engine) {
    auto wrong = backend();
    wrong.engine = std::move(engine);
    // What is left of the one before.
    wrong.destroy(ref_, soon());
    wrong.start(spec_, soon());
  };

  EXPECT_EQ(failure_of(
                [&] {
                  start({"/bin/sh", "-c", "echo no room; exit 1"});
                },
                CLOUD_E_NODE),
            "/bin/sh did not start the machine: no room");
  EXPECT_EQ(failure_of([&] { start({"/bin/false"}); }, CLOUD_E_NODE),
            "/bin/false did not start the machine, without a word");
}

TEST_F(SdkContainer, OfAnEngineThatSaysNothingIsNotWaitedFor) {
  auto slow = backend();
  slow.engine = {"/bin/sh", "-c", "sleep 30"};

  EXPECT_EQ(failure_of([&] { slow.start(spec_, Deadline{Deadline::now() + 50'000'000}); },
                       CLOUD_E_TIMEOUT),
            "start /bin/sh: no answer in time");
}

TEST(SdkContainerNeeds, AreSaidInTheSitesWords) {
  const TemporaryFolder folder;
  cloud_image image{};
  image.name = "debian12";
  image.path = folder.path().c_str();
  image.init = "systemd";
  const cloud_network network{};
  cloud_machine_spec spec{};
  spec.network = &network;

  EXPECT_EQ(failure_of([] { require_program("/absent"); }, CLOUD_E_NODE),
            "/absent is no program that can be run: install it on this node");
  EXPECT_EQ(failure_of([&] { require_program(folder.path()); }, CLOUD_E_NODE),
            folder.path() + " is no program that can be run: install it on this node");
  EXPECT_EQ(failure_of([&] { require_root_file_system(image); }, CLOUD_E_CONFIG),
            folder.path() + " holds no root file system");
  EXPECT_EQ(failure_of([&] { require_no_init(image); }, CLOUD_E_CONFIG),
            "its machines run no init: take 'init' out of [image.debian12]");
  EXPECT_EQ(failure_of([&] { require_no_network(spec); }, CLOUD_E_CONFIG),
            "its machines have no network: take 'pool' out of its table");
}

TEST(SdkContainerNeeds, AreMet) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "usr");
  cloud_image image{};
  image.path = folder.path().c_str();
  for (const auto* init : {"auto", "none"}) {
    image.init = init;
    EXPECT_NO_THROW(require_no_init(image));
  }
  EXPECT_NO_THROW(require_root_file_system(image));
  EXPECT_NO_THROW(require_program("/bin/sh"));
  EXPECT_NO_THROW(require_no_network({}));
}

}  // namespace
}  // namespace cloud::sdk
