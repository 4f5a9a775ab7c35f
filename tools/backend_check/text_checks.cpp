// SPDX-License-Identifier: Apache-2.0
//
// Strings that nobody in good faith writes, and how a backend says no.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "core/backend/one_line.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/trial.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Field {
  const char* name;
  std::function<std::string&(MachineSpec&)> of;
};

std::vector<Field> fields() {
  return {{"hostname", [](MachineSpec& spec) -> std::string& { return spec.hostname; }},
          {"image.name", [](MachineSpec& spec) -> std::string& { return spec.image.name; }},
          {"image.path", [](MachineSpec& spec) -> std::string& { return spec.image.path; }},
          {"image.format", [](MachineSpec& spec) -> std::string& { return spec.image.format; }},
          {"image.init", [](MachineSpec& spec) -> std::string& { return spec.image.init; }},
          {"image.initrd", [](MachineSpec& spec) -> std::string& { return spec.image.initrd; }},
          {"image.cmdline", [](MachineSpec& spec) -> std::string& { return spec.image.cmdline; }},
          {"user.name", [](MachineSpec& spec) -> std::string& { return spec.user.name; }},
          {"user.home", [](MachineSpec& spec) -> std::string& { return spec.user.home; }},
          {"user.shell", [](MachineSpec& spec) -> std::string& { return spec.user.shell; }},
          {"cpus", [](MachineSpec& spec) -> std::string& { return spec.cpus; }},
          {"user_data", [](MachineSpec& spec) -> std::string& { return spec.user_data; }},
          {"mount.target",
           [](MachineSpec& spec) -> std::string& { return spec.mounts.front().target; }},
          // The descriptor beside it is the true one: the name is for messages only.
          {"mount.source",
           [](MachineSpec& spec) -> std::string& { return spec.mounts.front().source; }},
          {"user.group_names",
           [](MachineSpec& spec) -> std::string& { return spec.user.group_names.back(); }}};
}

std::vector<Field> ssh_fields() {
  return {{"ssh.authorized_key",
           [](MachineSpec& spec) -> std::string& { return spec.ssh->authorized_key; }},
          {"ssh.host_key", [](MachineSpec& spec) -> std::string& { return spec.ssh->host_key; }},
          {"ssh.host_key_public",
           [](MachineSpec& spec) -> std::string& { return spec.ssh->host_key_public; }}};
}

std::vector<Field> network_fields() {
  return {
      {"network.bridge", [](MachineSpec& spec) -> std::string& { return spec.network->bridge; }},
      {"network.mac", [](MachineSpec& spec) -> std::string& { return spec.network->mac; }},
      {"network.address", [](MachineSpec& spec) -> std::string& { return spec.network->address; }},
      {"network.gateway", [](MachineSpec& spec) -> std::string& { return spec.network->gateway; }},
      {"network.dns", [](MachineSpec& spec) -> std::string& { return spec.network->dns.front(); }}};
}

std::vector<Field> fields_of(MachineSpec& spec) {
  auto all = fields();
  if (spec.network) {
    if (spec.network->dns.empty()) spec.network->dns.emplace_back("127.0.0.1");
    for (auto& field : network_fields()) all.push_back(std::move(field));
  }
  if (spec.ssh) {
    for (auto& field : ssh_fields()) all.push_back(std::move(field));
  }
  return all;
}

/// A file that a string would make if a shell, a path or a second line of some file took it.
std::string canary(const Bench& bench) {
  return bench.site->machines_dir() + "/canary";
}

std::vector<std::string> hostile_strings(const Bench& bench) {
  return {"",
          "../../../canary",
          "a\nb",
          "$(touch " + canary(bench) + ")",
          "'; touch " + canary(bench) + "; '",
          std::string(300, 'a'),
          "caf\xc3\xa9-\xff",
          "/nonexistent/%s%n/<a b='c'>&amp;"};
}

std::string shown(const std::string& text) {
  return "'" + one_line(text.c_str(), 40) + "'";
}

// The names that are not [a-z0-9-]{1,63}: each becomes part of a path in any backend.
Verdict hostile_names(Bench& bench) {
  auto names = hostile_strings(bench);
  names.insert(names.end(), {".", "..", "a/b", "UPPER", "a b"});
  for (const auto& name : names) {
    auto trial = Trial::begin(bench);
    if (!trial) return trial.error();
    trial->spec.name = name;
    const auto tried = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
      if (subject.prepare(trial->spec).is_ok() &&
          trial->start(subject, far_deadline(bench)).is_ok()) {
        return wrong("a machine with the name " + shown(name) + " was started");
      }
      // Whatever it says: it shall not follow the name anywhere.
      (void)subject.stop(trial->ref(), in(1s));
      (void)subject.destroy(trial->ref(), in(5s));
      return std::string{};
    });
    if (!tried) return tried.error();
    if (auto looked = trial->look(); !looked) {
      return std::move(looked).error().within("the name " + shown(name));
    }
  }
  return {};
}

// In the other fields a backend may take what it has a use for, or refuse it. What was started ends
// as usual, and nothing was done that the string says.
Verdict hostile_fields(Bench& bench) {
  auto probe = Trial::begin(bench);
  if (!probe) return probe.error();
  // Where none can be started, nothing is seen.
  const auto honest = probe->as_keeper([&](Subject& subject) -> Result<std::string> {
    auto done = probe->prepare(subject);
    if (done) done = probe->start(subject);
    if (done) done = probe->destroy(subject);
    if (!done) return std::move(done).error();
    return std::string{};
  });
  if (!honest) return Error{honest.error()}.within("a machine without hostile strings");
  const auto all = fields_of(probe->spec);
  if (auto looked = probe->look(); !looked) return looked;
  const auto words = "../../../x\n$(touch " + canary(bench) + ")'; touch " + canary(bench) +
                     "; '\n<a b='c'>&amp;\xc3\xa9\xff";
  // The same file as an absolute path and behind any folder.
  std::string path;
  for (int i = 0; i < 16; ++i) path += "/..";
  path += canary(bench);
  for (const auto& field : all) {
    for (const auto& nasty : {words, path}) {
      auto trial = Trial::begin(bench);
      if (!trial) return trial.error();
      (void)fields_of(trial->spec);
      field.of(trial->spec) = nasty;
      const auto tried = trial->as_keeper([&](Subject& subject) -> Result<std::string> {
        if (subject.prepare(trial->spec).is_ok()) (void)trial->start(subject, far_deadline(bench));
        if (auto done = trial->destroy(subject); !done) return std::move(done).error();
        return std::string{};
      });
      const auto within = [&](Error error) {
        return std::move(error).within(std::string{field.name} + " " + shown(nasty));
      };
      if (!tried) return within(tried.error());
      if (auto looked = trial->look(); !looked) return within(looked.error());
    }
  }
  return {};
}

// A name outside of the machine's folder that calls with only a reference are given.
Verdict hostile_references(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto victim = bench.site->run_dir() + "/victim";
  fs::create_directories(victim);
  std::ofstream{victim + "/file"} << "alive\n";
  const auto tried = trial->as_hook([&](Subject& subject) -> Result<std::string> {
    // From whatever folder a name is put behind.
    std::string up;
    for (int i = 0; i < 32; ++i) up += "../";
    for (const auto& name :
         {std::string{"../../run/victim"}, "../" + victim, victim, up + victim.substr(1)}) {
      const MachineRef ref{name, trial->spec.work_dir, trial->spec.cgroup};
      cloud_machine_info info{};
      (void)subject.info(ref, info);
      (void)subject.stop(ref, in(1s));
      (void)subject.destroy(ref, in(5s));
    }
    return std::string{};
  });
  if (!tried) return tried.error();
  if (!fs::exists(victim + "/file")) return wrong("destroy() followed a name to " + victim);
  return trial->look();
}

// Every refusal that can be had without a machine that runs.
Verdict messages(Bench& bench) {
  auto trial = Trial::begin(bench);
  if (!trial) return trial.error();
  const auto all = fields_of(trial->spec);
  const auto said = trial->as_hook([&](Subject& subject) -> Result<std::string> {
    const auto judge = [](const Answer& answer, const std::string& what) -> Result<void> {
      if (answer.misshapen.empty()) return {};
      return wrong(answer.call + "(), " + what + ": " + answer.misshapen);
    };
    const auto spoilt = [&](const std::string& what, const MachineSpec& spec) -> Result<void> {
      auto good = judge(subject.prepare(spec), what);
      const auto destroyed = subject.destroy(ref_of(spec), in(5s));
      return good ? judge(destroyed, what) : good;
    };
    for (const auto& text : hostile_strings(bench)) {
      for (const auto& field : all) {
        auto spec = trial->spec;
        field.of(spec) = text;
        auto good = spoilt(std::string{field.name} + " " + shown(text), spec);
        if (!good) return std::move(good).error();
      }
      auto spec = trial->spec;
      spec.name = text;
      if (auto good = spoilt("name " + shown(text), spec); !good) return std::move(good).error();
    }
    cloud_machine_info info{};
    auto good = judge(subject.wait_ready(trial->ref(), in(1s)), "of no machine");
    if (good) good = judge(subject.info(trial->ref(), info), "of no machine");
    if (!good) return std::move(good).error();
    return std::string{};
  });
  if (!said) return said.error();
  return trial->destroy_and_look();
}

}  // namespace

std::vector<Check> text_checks() {
  return {{"hostile_names", "no machine has a name that is more than a name", hostile_names},
          {"hostile_fields", "no string of a machine is taken for more than it is", hostile_fields},
          {"hostile_references", "destroy() follows no name out of its folder", hostile_references},
          {"messages", "a refusal is a code and one line", messages}};
}

}  // namespace cloud
