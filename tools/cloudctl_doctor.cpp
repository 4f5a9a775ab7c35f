// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>

#include "core/backend/backend.hpp"
#include "tools/cloudctl.hpp"
#include "tools/configuration_check.hpp"
#include "tools/findings.hpp"
#include "tools/installed_programs.hpp"
#include "tools/network_checks.hpp"
#include "tools/node_checks.hpp"
#include "tools/program_output.hpp"
#include "tools/slurm_settings.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr auto kSlurmLimit = 10s;

void check_ssh(const std::string& type, Findings& findings) {
  for (const auto* program : {"/usr/bin/ssh", "/usr/bin/ssh-keygen"}) {
    if (::access(program, X_OK) == 0) continue;
    findings.problem("backend " + type, std::string{program} +
                                            " is missing, and its machines are "
                                            "entered through ssh: apt-get "
                                            "install openssh-client");
  }
}

void check_backends(const SiteConfig& config, Findings& findings) {
  for (const auto& settings : config.backends) {
    const auto what = "backend " + settings.name;
    if (!settings.enabled) continue;
    BackendHost host{[&](int, const std::string& message) { findings.note(what, message); }, {}};
    auto backend = open_backend(config.backend_dir, settings, std::move(host));
    if (!backend) {
      findings.problem(what, backend.error().message);
      continue;
    }
    if ((*backend)->has_ssh()) check_ssh(settings.name, findings);
    findings.add(what, (*backend)->probe(), "version " + (*backend)->version() + " can work here");
  }
}

void check_slurm(Findings& findings) {
  const auto scontrol = find_program("scontrol");
  if (scontrol.empty()) {
    findings.note("slurm", "not looked at: there is no scontrol in PATH");
    return;
  }
  const auto text = output_of({scontrol, "show", "config"}, kSlurmLimit);
  if (!text) {
    findings.note("slurm", "not looked at: " + text.error().message);
    return;
  }
  for (const auto& found : judge_slurm_settings(parse_slurm_settings(*text))) {
    const auto what = "slurm " + found.setting;
    if (found.level == SlurmFinding::Level::ok) findings.ok(what, found.text);
    if (found.level == SlurmFinding::Level::note) findings.note(what, found.text);
    if (found.level == SlurmFinding::Level::problem) findings.problem(what, found.text);
  }
}

}  // namespace

int examine_node(const NodeView& view, const std::string& libexec) {
  if (::geteuid() != 0) {
    return refuse({Blame::user, "doctor looks at what is root's: run it as root"});
  }
  Findings findings;
  const auto loaded = load_trusted_site_config(view.config_file);
  const auto report = full_report(loaded);
  for (const auto& mistake : report.sorted()) {
    findings.problem("configuration", mistake.where.text() + ": " + mistake.message);
  }
  if (report.empty()) findings.ok("configuration", view.config_file + " has no mistakes");
  check_backends(loaded.config, findings);
  check_images(loaded.config, findings);
  check_pools(loaded.config, findings);
  check_networks(loaded.config, findings);
  check_stages(loaded.config, findings);
  check_folders(loaded.config, findings);
  check_installed_programs(libexec, findings);
  check_subids(loaded.config, findings);
  check_cgroups(findings);
  check_slurm(findings);
  return findings.has_problem() ? 1 : 0;
}

}  // namespace cloud
