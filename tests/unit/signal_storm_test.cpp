// SPDX-License-Identifier: Apache-2.0
//
// A signal in the middle of a call changes nothing of what the call says.
#include "tests/unit/signal_storm.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/process.hpp>
#include <spank-cloud/program.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <thread>

#include "core/system/subprocess.hpp"
#include "core/system/unique_fd.hpp"
#include "tests/unit/fake_engine.hpp"
#include "tests/unit/sdk_user.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class SignalStormTest : public testing::Test {
 protected:
  std::array<UniqueFd, 2> make_pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
  }

  SignalStorm storm_;
};

TEST_F(SignalStormTest, IsFeltByACallThatIsNotGuarded) {
  const auto pipe = make_pipe();
  pollfd wanted{pipe[0].value(), POLLIN, 0};

  EXPECT_EQ(::poll(&wanted, 1, 10000), -1);
  EXPECT_EQ(errno, EINTR);
}

TEST_F(SignalStormTest, EndsNoWaitBeforeItsLimit) {
  const auto pipe = make_pipe();
  const auto begun = Clock::now();

  EXPECT_FALSE(is_ready_within(pipe[0].value(), POLLIN, 200ms));

  EXPECT_GE(Clock::now() - begun, 200ms);
}

TEST_F(SignalStormTest, HidesNoEvent) {
  auto pipe = make_pipe();
  std::thread writer{[&] {
    std::this_thread::sleep_for(100ms);
    pipe[1].reset();
  }};

  EXPECT_TRUE(is_ready_within(pipe[0].value(), POLLIN, 60s));

  writer.join();
}

TEST_F(SignalStormTest, LeavesAProgramItsExitStatus) {
  const auto outcome = run({.argv = {"/bin/sh", "-c", "sleep 0.3; exit 3"}, .timeout = 60s});

  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->kind, Outcome::Kind::exited);
  EXPECT_EQ(outcome->code, 3);
}

TEST_F(SignalStormTest, LeavesAProgramThatIsTooLateTimeToTidyUp) {
  const TemporaryFolder folder;
  const auto tidied = folder / "tidied";

  const auto outcome = run({.argv = {"/bin/sh", "-c",
                                     "trap 'sleep 0.3; echo >" + tidied +
                                         "; exit 0' TERM; while :; do sleep 0.05; done"},
                            .timeout = 500ms});

  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->kind, Outcome::Kind::timed_out);
  EXPECT_TRUE(std::filesystem::exists(tidied));
}

TEST_F(SignalStormTest, CutsNoAnswerOfABoundedCallOff) {
  const std::string all(1000000, 'x');

  const auto answer = sdk::bounded_call(
      "answer",
      [&] {
        std::this_thread::sleep_for(100ms);
        return all;
      },
      sdk::in_seconds(60));

  EXPECT_EQ(answer, all);
}

TEST_F(SignalStormTest, LosesNoProgramOfABackends) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes the ids of others, and this is not root";
  sdk::FakeEngine engine;

  const auto started = sdk::start_program(
      {{"/bin/sh", "-c", "sleep 0.2; echo here"}, "/job/machine", {}, {}}, engine.host());

  EXPECT_EQ(sdk::read_line(started.output, sdk::in_seconds(60), engine.host(), "read"), "here");
}

TEST_F(SignalStormTest, RefusesNoUserNamespace) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to map ids";
  constexpr std::uint32_t kFirst = 1879048192;
  const std::vector<sdk::IdRange> ids{{0, kFirst, 65533}};

  for (int round = 0; round < 20; ++round) {
    const sdk::UserNamespace made{kFirst, ids, ids};
    EXPECT_GE(made.fd(), 0);
  }
}

}  // namespace
}  // namespace cloud
