// SPDX-License-Identifier: Apache-2.0
//
// How the engine turns what a backend answers into an Error, and a MachineSpec into the C structs.
#include <gmock/gmock.h>
#include <spank-cloud/backend_abi.h>
#include <unistd.h>

#include <tuple>

#include "core/backend/backend.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kModules = CLOUD_TEST_MODULES;

BackendConfig config_of(const std::string& name, std::vector<BackendSetting> settings = {}) {
  BackendConfig config;
  config.name = name;
  config.where = {"cloud.toml", 3, 1};
  config.settings = std::move(settings);
  return config;
}

BackendSetting setting(const std::string& key, std::variant<std::string, std::int64_t, bool> value,
                       std::uint32_t line = 4) {
  const auto column = static_cast<std::uint32_t>(key.size() + 4);
  return {key, std::move(value), {"cloud.toml", line, column}, {"cloud.toml", line, 1}};
}

MachineSpec a_spec() {
  MachineSpec spec;
  spec.name = "sc-42";
  spec.hostname = "n1-42";
  spec.work_dir = "/w/sc-42";
  spec.cgroup = "/slurm/job_42/cloud";
  spec.cpus = "0-1,4";
  spec.job_id = 42;
  spec.cpu_count = 3;
  spec.memory_bytes = 5000000000;
  spec.subid_first = 100000;
  spec.image = {"deb", "/i/deb", "squashfs", "auto", "/i/initrd", "quiet", {}};
  spec.image.settings.push_back({"firmware", std::string{"uefi"}, {"cloud.toml", 7, 3}, {}});
  spec.ssh = MachineKeys{"ssh-ed25519 AAAA\n", "PRIVATE\n", "ssh-ed25519 BBBB\n"};
  spec.user_data = "#cloud-config\n";
  spec.user.uid = 1000;
  spec.user.gid = 100;
  spec.user.name = "ada";
  spec.user.home = "/home/ada";
  spec.user.shell = "/bin/bash";
  spec.user.groups = {7, 8};
  spec.user.group_names = {"seven", "", "users"};
  return spec;
}

class BackendProxy : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root's files are loaded, and this is not root";
    if (auto trusted = require_trusted(kModules); !trusted) {
      GTEST_SKIP() << "the build tree is not trusted: " << trusted.error().message;
    }
  }

  static std::unique_ptr<Backend> open(const BackendConfig& config, BackendHost host = {}) {
    auto backend = open_backend(kModules, config, std::move(host));
    if (!backend) {
      ADD_FAILURE() << backend.error().message;
      std::abort();
    }
    return *std::move(backend);
  }

  static Error open_error(const BackendConfig& config) {
    auto backend = open_backend(kModules, config, {});
    if (backend) return {Blame::internal, "opened"};
    return std::move(backend).error();
  }
};

Error error_of(Result<void> result) {
  if (result) return {Blame::internal, "succeeded"};
  return std::move(result).error();
}

class BlameOfCode : public BackendProxy,
                    public testing::WithParamInterface<std::tuple<std::int64_t, Blame>> {};

TEST_P(BlameOfCode, IsWhoHasToAct) {
  const auto [code, blame] = GetParam();
  const auto backend = open(config_of("codes", {setting("code", code)}));

  const auto error = error_of(backend->probe());

  EXPECT_EQ(error.message, "backend 'codes': as asked");
  EXPECT_EQ(to_string(error.blame), to_string(blame));
  EXPECT_EQ(error.os_errno, 5);
}

INSTANTIATE_TEST_SUITE_P(
    All, BlameOfCode,
    testing::Values(std::tuple{std::int64_t{CLOUD_E_CONFIG}, Blame::site},
                    std::tuple{std::int64_t{CLOUD_E_REQUEST}, Blame::user},
                    std::tuple{std::int64_t{CLOUD_E_NODE}, Blame::node},
                    std::tuple{std::int64_t{CLOUD_E_NOT_FOUND}, Blame::node},
                    std::tuple{std::int64_t{CLOUD_E_TIMEOUT}, Blame::node},
                    std::tuple{std::int64_t{CLOUD_E_UNSUPPORTED}, Blame::site},
                    std::tuple{std::int64_t{CLOUD_E_CANCELLED}, Blame::cancelled},
                    std::tuple{std::int64_t{CLOUD_E_INTERNAL}, Blame::internal},
                    std::tuple{std::int64_t{4242}, Blame::internal}));

TEST_F(BackendProxy, GuardTurnsExceptionsIntoCodes) {
  const auto probe = [](const std::string& what) {
    return error_of(open(config_of("codes", {setting("throws", what)}))->probe());
  };

  EXPECT_EQ(probe("bad_alloc").message, "backend 'codes': out of memory");
  EXPECT_EQ(probe("bad_alloc").blame, Blame::node);
  EXPECT_EQ(probe("standard").message, "backend 'codes': off by one");
  EXPECT_EQ(probe("standard").blame, Blame::internal);
  EXPECT_EQ(probe("integer").message, "backend 'codes': unknown exception");
}

TEST_F(BackendProxy, GuardCoversOpenAndClose) {
  const auto failed = open_error(config_of(
      "codes", {setting("code", std::int64_t{CLOUD_E_NODE}), setting("in_open", true, 5)}));
  EXPECT_EQ(failed.message, "backend 'codes': as asked");

  auto backend = open(config_of("codes", {setting("throws", "at the end")}));
  backend.reset();
}

TEST_F(BackendProxy, CatchesWhatABackendWithoutGuardLetsOut) {
  const auto backend = open(config_of("unguarded"));

  const auto probe = error_of(backend->probe());
  EXPECT_EQ(probe.message, "backend 'unguarded': an exception left the backend: lost my way");
  EXPECT_EQ(probe.blame, Blame::internal);
  EXPECT_EQ(error_of(backend->prepare(a_spec())).message,
            "backend 'unguarded': an exception left the backend");
}

TEST_F(BackendProxy, MakesOneLineOfAnyMessage) {
  const auto backend = open(config_of("rude"));

  const auto error = error_of(backend->probe());
  EXPECT_EQ(error.message, "backend 'rude': disk full  [31mred ? end");
  EXPECT_EQ(error.os_errno, 28);
  EXPECT_EQ(error_of(backend->prepare(a_spec())).message,
            "backend 'rude': " + std::string(1000, 'x'));
  EXPECT_EQ(error_of(backend->start(a_spec(), {})).message,
            "backend 'rude': failed with code 77 and no message");
  const auto names = backend->list();
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("a b", ""));
}

TEST_F(BackendProxy, DoubtsWhatInfoSays) {
  const auto backend = open(config_of("rude"));

  const auto info = backend->info({"sane", "/w", ""});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->detail, std::string(256, 'y'));
  EXPECT_EQ(info->init_pid, 0) << "without CLOUD_CAP_NAMESPACES nobody may enter that process";
  EXPECT_THAT(backend->info({"odd-state", "/w", ""}).error().message, HasSubstr("made up a state"));
  EXPECT_THAT(backend->info({"odd-pid", "/w", ""}).error().message,
              HasSubstr("made up a process id"));
}

TEST_F(BackendProxy, PassesEveryFieldOfASpec) {
  const auto backend = open(config_of("codes"));
  auto spec = a_spec();
  spec.network = MachineNetwork{
      26, "br0", "02:00:c0:a8:00:01", "192.168.0.1", "192.168.0.62", {"1.1.1.1", "9.9.9.9"}};
  spec.mounts = {{"/home/ada", "/home/ada", false, 12}, {"/opt", "/opt/site", true, -1}};

  const auto error = error_of(backend->prepare(spec));

  EXPECT_EQ(error.blame, Blame::user);
  EXPECT_EQ(
      error.message,
      "backend 'codes': 1;sc-42;n1-42;3;5000000000;42;0-1,4;/w/sc-42;/slurm/job_42/cloud;"
      "100000;65536;deb;/i/deb;squashfs;auto;1000;100;ada;/home/ada;/bin/bash;7;8;seven;;users;"
      "26;br0;02:00:c0:a8:00:01;192.168.0.1;192.168.0.62;1.1.1.1;9.9.9.9;"
      "/home/ada;/home/ada;0;12;/opt;/opt/site;1;-1;"
      "/i/initrd;quiet;uefi;ssh-ed25519 AAAA ;PRIVATE ;ssh-ed25519 BBBB ;#cloud-config ;");
}

TEST_F(BackendProxy, PassesNoNetworkAsNull) {
  const auto backend = open(config_of("codes"));

  EXPECT_THAT(error_of(backend->prepare(a_spec())).message, HasSubstr(";users;no network;"));
}

TEST_F(BackendProxy, PlacesProcessesWhileStartRunsAndNotAfterwards) {
  const auto backend = open(config_of("codes", {setting("throws", std::string{"place"})}));
  std::string placed;
  const auto place = [&](const std::string& cgroup, std::int64_t pid) -> Result<void> {
    placed = cgroup + " " + std::to_string(pid);
    return Error{Blame::node, "no such process"};
  };

  const auto started = backend->start(a_spec(), std::chrono::steady_clock::now() + 5s, {place, {}});

  EXPECT_EQ(placed, "/slurm/job_42/cloud 4712");
  EXPECT_EQ(error_of(started).message, "backend 'codes': no such process");
  EXPECT_EQ(error_of(backend->start(a_spec(), std::chrono::steady_clock::now() + 5s)).message,
            "backend 'codes': place() is for start() alone");
  EXPECT_EQ(backend->console({"sc-42", "/w", ""}).error().message,
            "backend 'codes': place() is for start() alone");
}

TEST_F(BackendProxy, HandsOutTheConsole) {
  const auto backend = open(config_of("codes"));

  ASSERT_TRUE(backend->has_console());
  const auto console = backend->console({"sc-42", "/w", ""});

  ASSERT_TRUE(console) << console.error().message;
  EXPECT_GE(console->value(), 0);
}

TEST_F(BackendProxy, JudgesAnImagesKeysByWhatItsBackendsPublish) {
  const auto table = load_backend_table(CLOUD_TEST_MODULES, "codes");
  ASSERT_TRUE(table) << table.error().message;
  ImageConfig image;
  image.settings = {{"firmware", std::string{"uefi"}, {"c.toml", 2, 12}, {"c.toml", 2, 1}},
                    {"disk_size", std::string{"big"}, {"c.toml", 3, 13}, {"c.toml", 3, 1}},
                    {"frimware", std::string{"uefi"}, {"c.toml", 4, 12}, {"c.toml", 4, 1}}};
  Report report;

  check_image_settings({*table}, image, report);

  EXPECT_EQ(report.text().find("c.toml:3:13: error: 'disk_size' shall be an integer"), 0U)
      << report.text();
  EXPECT_THAT(report.text(), HasSubstr("c.toml:4:1: error: unknown key 'frimware' of an image; did "
                                       "you mean 'firmware'?"));
  EXPECT_EQ(report.size(), 2U);
  EXPECT_EQ(image_settings_for(**table, image).size(), 2U);
  EXPECT_TRUE(takes_image_format(**table, "qcow2"));
  EXPECT_FALSE(takes_image_format(**table, "directory"));
  EXPECT_EQ(image_format_names(**table), "squashfs, qcow2");
}

TEST_F(BackendProxy, ConvertsDeadlines) {
  const auto backend = open(config_of("codes"));
  const auto now = std::chrono::steady_clock::now();

  EXPECT_THAT(error_of(backend->start(a_spec(), now + 30500ms)).message, EndsWith(": 30 s left"));
  EXPECT_THAT(error_of(backend->start(a_spec(), now - 1s)).message, EndsWith(": came too late"));
}

TEST_F(BackendProxy, PassesMachinesAndPhases) {
  const auto backend = open(config_of("codes"));
  std::vector<std::string> phases;

  const auto info = backend->info({"sc-42", "/w/sc-42", "/c"});
  const auto ready = backend->wait_ready(
      {"sc-42", "/w", ""}, {}, [&](const std::string& phase) { phases.push_back(phase); });

  ASSERT_TRUE(info);
  EXPECT_EQ(info->state, MachineState::running);
  EXPECT_EQ(info->init_pid, 4711);
  EXPECT_EQ(info->detail, "sc-42 /w/sc-42 /c");
  EXPECT_TRUE(ready);
  EXPECT_THAT(phases, ElementsAre("first phase", "second"));
  EXPECT_TRUE(backend->wait_ready({"sc-42", "/w", ""}, {}, {}));
}

TEST_F(BackendProxy, CallbacksOfTheEngineMayThrow) {
  BackendHost host;
  host.log = [](int, const std::string&) { throw 1; };
  const auto backend = open(config_of("codes"), host);

  EXPECT_TRUE(backend->probe());
  EXPECT_TRUE(backend->wait_ready({"sc-42", "/w", ""}, {}, [](const std::string&) { throw 2; }));
}

TEST_F(BackendProxy, DestroyIsNotCancelled) {
  BackendHost host;
  host.cancelled = [] { return true; };
  const auto backend = open(config_of("codes"), host);
  const MachineRef ref{"sc-42", "/w", ""};

  EXPECT_EQ(error_of(backend->stop(ref, {})).blame, Blame::cancelled);
  EXPECT_TRUE(backend->destroy(ref, {}));
  EXPECT_EQ(error_of(backend->stop(ref, {})).blame, Blame::cancelled);
}

TEST_F(BackendProxy, LogsOneLineThroughTheHost) {
  std::vector<std::string> lines;
  BackendHost host;
  host.log = [&](int level, const std::string& line) {
    lines.push_back(std::to_string(level) + " " + line);
  };
  const auto backend = open(config_of("codes"), host);

  ASSERT_TRUE(backend->probe());

  EXPECT_THAT(lines, ElementsAre("1 about to fail"));
  EXPECT_EQ(backend->version(), "2.1");
  EXPECT_TRUE(backend->has_namespaces());
}

TEST_F(BackendProxy, PointsAtTheSettingThatABackendComplainsAbout) {
  const auto error = open_error(config_of(
      "demanding", {setting("depth", std::int64_t{2}, 4), setting("bridge_name", "br7", 5)}));

  EXPECT_EQ(error.message,
            "backend 'demanding': cloud.toml:5:15: no bridge 'br7' (cloud.toml:5:15)");
  EXPECT_EQ(error.blame, Blame::site);
}

TEST_F(BackendProxy, ChecksSettingsBeforeItOpens) {
  const auto error = open_error(
      config_of("demanding", {setting("depth", "deep", 4), setting("brigde_name", "br7", 5)}));

  EXPECT_THAT(error.message, AllOf(StartsWith("cloud.toml:3:1: [backend.demanding] needs "
                                              "'bridge_name' (The bridge that machines are plugged "
                                              "into.)"),
                                   EndsWith(" (and 2 more)")));
  EXPECT_EQ(error.blame, Blame::site);
}

TEST_F(BackendProxy, ReportsEverySettingAtItsPlace) {
  const auto table = load_backend_table(kModules, "demanding");
  ASSERT_TRUE(table) << table.error().message;
  Report report;

  check_backend_settings(
      **table,
      config_of("demanding", {setting("depth", "deep", 4), setting("brigde_name", "br7", 5),
                              setting("imgae", "x", 6), setting("zzzzzz", true, 7)}),
      report);

  std::vector<std::string> lines;
  for (const auto& found : report.sorted())
    lines.push_back(found.where.text() + ": " + found.message);
  EXPECT_THAT(
      lines, ElementsAre(HasSubstr("cloud.toml:3:1: [backend.demanding] needs 'bridge_name'"),
                         "cloud.toml:4:9: 'depth' shall be an integer",
                         "cloud.toml:5:1: backend 'demanding' has no option 'brigde_name'; did you "
                         "mean 'bridge_name'?",
                         "cloud.toml:6:1: backend 'demanding' has no option 'imgae'; did you mean "
                         "'image'?",
                         "cloud.toml:7:1: backend 'demanding' has no option 'zzzzzz'"));
}

}  // namespace
}  // namespace cloud
