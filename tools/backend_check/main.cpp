// SPDX-License-Identifier: Apache-2.0
//
// cloud-backend-check FILE: whether a backend keeps what backend_abi.h promises for it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "core/backend/backend.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/stage.hpp"
#include "tools/backend_check/suite.hpp"
#include "tools/backend_check/worker.hpp"

namespace cloud {
namespace {

struct Options {
  std::string file;
  bool live = false;
  bool not_installed = false;
  bool verbose = false;
  bool list = false;
  std::vector<std::string> only;
  LiveOptions machine;
  int cycles = 10;
  int slowness = 1;
  int limit = 0;  ///< 0: as long as its machines may need to boot
  int boot_limit = 60;
};

constexpr int kUsage = 2;

std::vector<Check> all_checks(bool live) {
  auto checks = static_checks();
  if (!live) return checks;
  for (const auto& group : {life_checks(), process_checks(), entry_checks(), network_checks(),
                            reach_checks(), time_checks(), text_checks(), kill_checks()}) {
    checks.insert(checks.end(), group.begin(), group.end());
  }
  return checks;
}

int refuse(const std::string& reason) {
  std::fprintf(stderr, "cloud-backend-check: %s\n", reason.c_str());
  return kUsage;
}

Result<std::vector<Check>> chosen_checks(const Options& options) {
  auto all = all_checks(options.live);
  if (options.only.empty()) return all;
  std::vector<Check> chosen;
  auto names = options.only;
  // Without it the others would be skipped and not fail.
  if (std::find(names.begin(), names.end(), "loads") == names.end()) {
    names.insert(names.begin(), "loads");
  }
  for (const auto& wanted : names) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Check& check) { return wanted == check.name; });
    if (found == all.end()) {
      return Error{Blame::user, "no check '" + wanted + "' (see --list" +
                                    (options.live ? ")" : "; most need --live)")};
    }
    chosen.push_back(*found);
  }
  return chosen;
}

// Asked of a process of its own: this one never maps the file.
std::uint64_t capabilities_of(const Target& target) {
  const auto text = in_worker(Role::hook, "", [&]() -> Result<std::string> {
    auto subject = Subject::load(target);
    if (!subject) return std::move(subject).error();
    return std::to_string(subject->table().capabilities);
  });
  return text ? std::stoull(*text) : 0;
}

int check_backend(const Options& options) {
  if (options.list) {
    for (const auto& check : all_checks(true)) std::printf("%-22s %s\n", check.name, check.promise);
    return 0;
  }
  Bench bench;
  std::error_code problem;
  bench.target.file = std::filesystem::canonical(options.file, problem).string();
  if (problem) return refuse(options.file + ": " + problem.message());
  bench.target.name = backend_name(options.file).value_or("");
  if (bench.target.name.empty()) {
    return refuse(options.file + ": a backend's file is called cloud_backend_NAME.so");
  }
  bench.target.config.name = bench.target.name;
  bench.target.checks_owner = !options.not_installed;
  bench.target.shows_log = options.verbose;
  bench.cycles = options.cycles;
  bench.slowness = options.slowness;
  auto checks = chosen_checks(options);
  if (!checks) return refuse(checks.error().message);
  Stage::instance();
  (void)verbose_stream();
  end_runs_by_signals();
  if (options.live) {
    auto site = Site::set_up(options.machine, bench.target);
    if (!site) return refuse(site.error().message);
    bench.site = *std::move(site);
    bench.capabilities = capabilities_of(bench.target);
  }
  bench.boot_limit = std::chrono::seconds{options.boot_limit};
  // hostile_fields makes the most machines; most of them do not boot.
  constexpr int kBoots = 40;
  const auto limit = options.limit > 0 ? options.limit : kBoots * options.boot_limit;
  Suite suite{std::move(bench), *std::move(checks), std::chrono::seconds{limit}};
  if (auto begun = suite.begin(); !begun) return refuse(begun.error().message);
  return suite.run();
}

}  // namespace
}  // namespace cloud

int main(int argc, char** argv) {
  cloud::Options options;
  options.machine.config_file = cloud::default_config_file();
  options.machine.user = "nobody";
  CLI::App app{"Checks a spank-cloud backend: the file alone, or with machines"};
  app.add_option("FILE", options.file, "cloud_backend_NAME.so");
  app.add_flag("--live", options.live,
               "Make machines with it (as root), on this node and with its hypervisor");
  app.add_option("--config", options.machine.config_file,
                 "The cloud.toml that sets up the backend, an image and a pool")
      ->capture_default_str();
  app.add_option("--image", options.machine.image, "An image other than the backend's default");
  app.add_option("--user", options.machine.user, "Whose machines")->capture_default_str();
  app.add_option("--address", options.machine.address,
                 "An address that nobody has; else one is leased");
  app.add_option("--memory", options.machine.memory_mb, "MiB of a machine")->capture_default_str();
  app.add_option("--cycles", options.cycles, "Machines that are started in one process")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option(
         "--slowness", options.slowness,
         "How much slower than an idle node this one may be: multiplies what a call may take "
         "beyond its deadline")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--limit", options.limit, "Seconds for each check; by default, 40 boots")
      ->check(CLI::Range(1, 3600));
  app.add_option("--boot-limit", options.boot_limit, "Seconds that a machine may take to boot")
      ->capture_default_str()
      ->check(CLI::Range(1, 3600));
  app.add_option("--only", options.only, "Run this check; may be given more than once")
      ->allow_extra_args(false);
  app.add_flag("--not-installed", options.not_installed,
               "The file is still in its build folder: whose it is is not asked");
  app.add_flag("--verbose", options.verbose, "Print every call, and what the backend logs");
  app.add_flag("--list", options.list, "List the checks");
  CLI11_PARSE(app, argc, argv);
  if (!options.list && options.file.empty()) {
    std::fprintf(stderr, "%s", app.help().c_str());
    return cloud::kUsage;
  }
  try {
    return cloud::check_backend(options);
  } catch (const std::exception& problem) {
    return cloud::refuse(problem.what());
  }
}
