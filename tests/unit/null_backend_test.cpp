// SPDX-License-Identifier: Apache-2.0
//
// The null backend through the engine's side, as the prolog, the keeper and the epilog use it:
// every step with an object of its own.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/backend/backend.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NullBackend : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root's files are loaded, and this is not root";
    if (auto trusted = require_trusted(CLOUD_TEST_BACKENDS); !trusted) {
      GTEST_SKIP() << "the build tree is not trusted: " << trusted.error().message;
    }
    scratch_ = fs::temp_directory_path() / "null-backend-XXXXXX";
    ASSERT_NE(::mkdtemp(scratch_.data()), nullptr);
    spec_.name = "sc-42";
    spec_.work_dir = scratch_ + "/work";
    fs::create_directory(spec_.work_dir);
    ref_ = {spec_.name, spec_.work_dir, ""};
  }

  void TearDown() override {
    if (!scratch_.empty()) fs::remove_all(scratch_);
  }

  Result<std::unique_ptr<Backend>> try_open(
      const std::string& key = "",
      const std::variant<std::string, std::int64_t, bool>& value = "") {
    BackendConfig config;
    config.name = "null";
    config.settings = {{"registry", scratch_ + "/registry", {"f", 2, 3}, {"f", 2, 1}}};
    if (!key.empty()) config.settings.push_back({key, value, {"f", 3, 9}, {"f", 3, 1}});
    BackendHost host;
    host.cancelled = [this] { return is_cancelled_; };
    return open_backend(CLOUD_TEST_BACKENDS, config, std::move(host));
  }

  std::unique_ptr<Backend> open(const std::string& key = "",
                                const std::variant<std::string, std::int64_t, bool>& value = "") {
    auto backend = try_open(key, value);
    if (!backend) {
      ADD_FAILURE() << backend.error().message;
      std::abort();
    }
    return *std::move(backend);
  }

  MachineState state() { return open()->info(ref_)->state; }
  std::vector<std::string> names() { return *open()->list(); }
  [[nodiscard]] bool is_clean() const { return fs::is_empty(spec_.work_dir); }
  static Deadline in(std::chrono::milliseconds time) {
    return std::chrono::steady_clock::now() + time;
  }

  std::string scratch_;
  MachineSpec spec_;
  MachineRef ref_;
  bool is_cancelled_ = false;
};

std::string failure(const Result<void>& result) {
  return result ? "succeeded" : result.error().message;
}

TEST_F(NullBackend, LivesAWholeLifeAcrossObjects) {
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_EQ(state(), MachineState::absent);

  ASSERT_EQ(failure(open()->prepare(spec_)), "succeeded");
  EXPECT_EQ(state(), MachineState::prepared);
  EXPECT_THAT(names(), ElementsAre("sc-42"));

  ASSERT_EQ(failure(open()->start(spec_, in(5s))), "succeeded");
  ASSERT_EQ(failure(open()->wait_ready(ref_, in(5s), {})), "succeeded");
  EXPECT_EQ(state(), MachineState::running);

  ASSERT_EQ(failure(open()->stop(ref_, in(5s))), "succeeded");
  ASSERT_EQ(failure(open()->stop(ref_, in(5s))), "succeeded");
  EXPECT_EQ(state(), MachineState::prepared);

  ASSERT_EQ(failure(open()->destroy(ref_, in(5s))), "succeeded");
  ASSERT_EQ(failure(open()->destroy(ref_, in(5s))), "succeeded");
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_TRUE(is_clean());
  EXPECT_TRUE(fs::exists(spec_.work_dir)) << "the directory itself is the engine's";
}

TEST_F(NullBackend, IsReadyWhenItHasBooted) {
  const auto backend = open("boot_ms", std::int64_t{300});
  ASSERT_TRUE(backend->prepare(spec_));
  ASSERT_TRUE(backend->start(spec_, in(5s)));
  EXPECT_EQ(state(), MachineState::starting);
  std::vector<std::string> phases;

  const auto ready = backend->wait_ready(
      ref_, in(30s), [&](const std::string& phase) { phases.push_back(phase); });

  EXPECT_EQ(failure(ready), "succeeded");
  EXPECT_EQ(state(), MachineState::running);
  EXPECT_THAT(phases, ElementsAre("booting", "ready"));
}

TEST_F(NullBackend, GivesUpAtTheDeadline) {
  const auto backend = open("boot_ms", std::int64_t{60000});
  ASSERT_TRUE(backend->prepare(spec_));
  ASSERT_TRUE(backend->start(spec_, in(5s)));
  const auto begun = std::chrono::steady_clock::now();

  const auto ready = backend->wait_ready(ref_, in(150ms), {});

  EXPECT_EQ(failure(ready), "backend 'null': wait for machine 'sc-42': the time is up");
  EXPECT_EQ(ready.error().blame, Blame::node);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

TEST_F(NullBackend, GivesUpWhenTheJobIsCancelled) {
  const auto backend = open("hang_at", "start");
  ASSERT_TRUE(backend->prepare(spec_));
  is_cancelled_ = true;

  const auto started = backend->start(spec_, in(60s));

  EXPECT_THAT(failure(started), HasSubstr("start() hangs as 'hang_at' asks: cancelled"));
  EXPECT_EQ(started.error().blame, Blame::cancelled);
}

TEST_F(NullBackend, RefusesWhatComesOutOfOrder) {
  EXPECT_THAT(failure(open()->start(spec_, in(5s))), HasSubstr("machine 'sc-42' is not prepared"));
  EXPECT_THAT(failure(open()->wait_ready(ref_, in(5s), {})), HasSubstr("no machine 'sc-42'"));
  ASSERT_TRUE(open()->prepare(spec_));
  EXPECT_THAT(failure(open()->wait_ready(ref_, in(5s), {})), HasSubstr("'sc-42' does not run"));
  ASSERT_TRUE(open()->start(spec_, in(5s)));
  EXPECT_THAT(failure(open()->start(spec_, in(5s))), HasSubstr("'sc-42' runs already"));
}

TEST_F(NullBackend, RefusesANameThatLeavesTheRegistry) {
  spec_.name = "../evil";

  EXPECT_THAT(failure(open()->prepare(spec_)), HasSubstr("bad machine name '../evil'"));
  EXPECT_FALSE(fs::exists(scratch_ + "/evil"));
}

TEST_F(NullBackend, ForgetsAMachineOfAnEarlierBoot) {
  ASSERT_TRUE(open()->prepare(spec_));
  ASSERT_TRUE(open()->start(spec_, in(5s)));
  fs::remove_all(scratch_ + "/registry");

  EXPECT_EQ(state(), MachineState::absent);
  EXPECT_EQ(failure(open()->destroy(ref_, in(5s))), "succeeded");
  EXPECT_TRUE(is_clean());
}

TEST_F(NullBackend, DestroyRemovesLinksAndNotWhatTheyPointAt) {
  const auto kept = scratch_ + "/kept";
  fs::create_directory(kept);
  std::ofstream{kept + "/file"};
  ASSERT_TRUE(open()->prepare(spec_));
  fs::create_directory_symlink(kept, spec_.work_dir + "/link");

  EXPECT_EQ(failure(open()->destroy(ref_, in(5s))), "succeeded");

  EXPECT_TRUE(is_clean());
  EXPECT_TRUE(fs::exists(kept + "/file"));
}

TEST_F(NullBackend, PointsAtAWrongSetting) {
  const auto fault = try_open("fail_at", "strat");
  ASSERT_FALSE(fault);
  EXPECT_EQ(fault.error().message,
            "backend 'null': f:3:9: 'fail_at' shall be the name of a call, not 'strat'");
  EXPECT_EQ(fault.error().blame, Blame::site);

  const auto boot = try_open("boot_ms", std::int64_t{-1});
  ASSERT_FALSE(boot);
  EXPECT_THAT(boot.error().message, HasSubstr("f:3:9: 'boot_ms' shall be 0 to 86400000"));
}

class FaultOfNullBackend : public NullBackend, public testing::WithParamInterface<const char*> {
 protected:
  // Everything before the faulty call goes well; then the call itself.
  Result<void> live_until(Backend& faulty, const std::string& call, Deadline deadline) {
    if (call == "probe") return faulty.probe();
    if (call == "list") return as_void(faulty.list());
    if (call == "info") return as_void(faulty.info(ref_));
    if (call == "prepare") return faulty.prepare(spec_);
    if (auto prepared = open()->prepare(spec_); !prepared) return prepared;
    if (call == "start") return faulty.start(spec_, deadline);
    if (auto started = open()->start(spec_, deadline); !started) return started;
    if (call == "wait_ready") return faulty.wait_ready(ref_, deadline, {});
    if (call == "stop") return faulty.stop(ref_, deadline);
    return faulty.destroy(ref_, deadline);
  }

  void expect_destroyable() {
    EXPECT_EQ(failure(open()->stop(ref_, in(5s))), "succeeded");
    EXPECT_EQ(failure(open()->destroy(ref_, in(5s))), "succeeded");
    EXPECT_TRUE(is_clean());
    EXPECT_THAT(names(), IsEmpty());
  }

 private:
  template <typename T>
  static Result<void> as_void(Result<T> result) {
    if (!result) return std::move(result).error();
    return {};
  }
};

TEST_P(FaultOfNullBackend, FailsAndCanBeDestroyed) {
  const std::string call = GetParam();
  const auto faulty = open("fail_at", call);

  const auto result = live_until(*faulty, call, in(5s));

  EXPECT_EQ(failure(result), "backend 'null': " + call + "() fails as 'fail_at' asks");
  expect_destroyable();
}

TEST_P(FaultOfNullBackend, DiesAndCanBeDestroyed) {
  const std::string call = GetParam();
  const auto faulty = open("crash_at", call);

  EXPECT_EXIT(static_cast<void>(live_until(*faulty, call, in(5s))),
              testing::KilledBySignal(SIGKILL), "");

  expect_destroyable();
}

INSTANTIATE_TEST_SUITE_P(EachCall, FaultOfNullBackend,
                         testing::Values("probe", "prepare", "start", "wait_ready", "info", "stop",
                                         "destroy", "list"),
                         [](const auto& call) { return std::string{call.param}; });

TEST_F(NullBackend, HangsUntilTheDeadline) {
  const auto backend = open("hang_at", "stop");
  ASSERT_TRUE(backend->prepare(spec_));

  const auto stopped = backend->stop(ref_, in(150ms));

  EXPECT_EQ(failure(stopped), "backend 'null': stop() hangs as 'hang_at' asks: the time is up");
}

TEST_F(NullBackend, FailsToOpen) {
  const auto backend = try_open("fail_at", "open");

  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().message, "backend 'null': open() fails as 'fail_at' asks");
}

}  // namespace
}  // namespace cloud
