// SPDX-License-Identifier: Apache-2.0
#include "tools/slurm_settings.hpp"

#include <algorithm>
#include <cctype>

namespace cloud {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string lower(std::string_view text) {
  std::string result{text};
  for (auto& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

bool has_word(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (lower(trimmed(list.substr(0, comma))) == lower(wanted)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

std::string value_of(const SlurmSettings& settings, const std::string& name) {
  auto found = settings.find(name);
  // Newer releases number a value that may be there more than once.
  if (found == settings.end()) found = settings.find(name + "[0]");
  return found == settings.end() || found->second == "(null)" ? "" : found->second;
}

struct Wanted {
  const char* setting;
  const char* word;  ///< that the value shall have; "" where it shall have any
  SlurmFinding::Level otherwise;
  const char* why;
};

constexpr Wanted kWanted[] = {
    {"PrologFlags", "Contain", SlurmFinding::Level::problem,
     "the machine starts in the extern step, which Slurm makes for Contain only"},
    {"PrologFlags", "DeferBatch", SlurmFinding::Level::note,
     "without it a batch script may start before the other nodes' prologs have ended"},
    {"ProctrackType", "proctrack/cgroup", SlurmFinding::Level::problem,
     "the machine lives in the job's control group"},
    {"TaskPlugin", "task/cgroup", SlurmFinding::Level::problem,
     "without it the machine is not held to the job's CPUs and memory"},
    {"Prolog", "", SlurmFinding::Level::problem, "it leases the address and makes the machine"},
    {"Epilog", "", SlurmFinding::Level::problem, "it removes the machine when the job ends"},
};

SlurmFinding judge(const Wanted& wanted, const std::string& value) {
  const std::string word = wanted.word;
  const bool good = word.empty() ? !value.empty() : has_word(value, word);
  if (good) return {SlurmFinding::Level::ok, wanted.setting, value};
  const auto now = value.empty() ? std::string{"not set"} : "'" + value + "'";
  const auto shall = word.empty() ? std::string{"set it"} : "add or choose " + word;
  return {wanted.otherwise, wanted.setting,
          now + ": " + wanted.why + "; " + shall + " in slurm.conf (conf/slurm.conf.fragment)"};
}

}  // namespace

SlurmSettings parse_slurm_settings(std::string_view text) {
  SlurmSettings settings;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    settings.emplace(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
  }
  return settings;
}

std::vector<SlurmFinding> judge_slurm_settings(const SlurmSettings& settings) {
  std::vector<SlurmFinding> findings;
  for (const auto& wanted : kWanted) {
    findings.push_back(judge(wanted, value_of(settings, wanted.setting)));
  }
  return findings;
}

}  // namespace cloud
