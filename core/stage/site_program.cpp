// SPDX-License-Identifier: Apache-2.0
#include "core/stage/site_program.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "core/system/atomic_file.hpp"
#include "core/system/harmless_text.hpp"
#include "core/system/subprocess.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;

bool is_leftover(const std::string& name) {
  if (name.starts_with('.') || name.ends_with('~')) return true;
  for (const std::string_view end : {".rpmsave", ".rpmnew", ".rpmorig", ".bak", ".swp", ".orig"}) {
    if (name.ends_with(end)) return true;
  }
  return name.find(".dpkg-") != std::string::npos;
}

Result<void> require_root_writes_only(const std::string& path) {
  auto trusted = require_trusted(path);
  if (!trusted) return std::move(trusted).error().within(path + " was not run");
  return {};
}

Result<std::vector<std::string>> programs_of(const std::string& path) {
  std::error_code problem;
  if (!fs::is_directory(path, problem)) return std::vector<std::string>{path};
  if (auto safe = require_root_writes_only(path); !safe) return safe.error();
  std::vector<std::string> programs;
  for (const auto& entry : fs::directory_iterator{path, problem}) {
    const auto file = entry.path().string();
    if (is_leftover(entry.path().filename().string()) || !entry.is_regular_file(problem)) continue;
    if (::access(file.c_str(), X_OK) == 0) programs.push_back(file);
  }
  if (problem) return os_error(Blame::site, "read " + path, problem.value());
  std::sort(programs.begin(), programs.end());
  return programs;
}

std::string last_line_of(const std::string& file) {
  const auto text = read_file(file, 16 << 20);
  if (!text || text->empty()) return {};
  const auto end = text->find_last_not_of(" \r\n");
  if (end == std::string::npos) return {};
  const auto begin = text->rfind('\n', end);
  // It is shown to the job's user, and to root.
  return harmless_line(text->substr(begin + 1, std::min<std::size_t>(end - begin, 300)));
}

Error failure_of(const std::string& program, const Outcome& outcome, const StageConfig& stage,
                 const std::string& output_file) {
  std::string what;
  switch (outcome.kind) {
    case Outcome::Kind::exited:
      what = "ended with status " + std::to_string(outcome.code);
      break;
    case Outcome::Kind::signalled:
      what = "was killed by signal " + std::to_string(outcome.code);
      break;
    case Outcome::Kind::timed_out:
      what = "took longer than " + std::to_string(stage.timeout.count()) +
             " s and was killed (timeout of the stage)";
      break;
    case Outcome::Kind::cancelled:
      return {Blame::cancelled, program + " was stopped because the job is being cancelled"};
  }
  const auto last = last_line_of(output_file);
  return {Blame::node, program + " " + what + (last.empty() ? "" : ": " + last)};
}

}  // namespace

Result<void> run_site_program(const std::string& path, const StageConfig& stage,
                              const HookInput& input, const std::string& output_file) {
  const auto programs = programs_of(path);
  if (!programs) return programs.error();
  for (const auto& program : *programs) {
    if (auto safe = require_root_writes_only(program); !safe) return safe;
    const auto outcome = run({.argv = {program},
                              .environment = input.environment,
                              .output_file = output_file,
                              .timeout = stage.timeout,
                              .cancelled = input.cancelled,
                              .dies_with_us = true});
    if (!outcome) return outcome.error();
    if (outcome->kind != Outcome::Kind::exited || outcome->code != 0) {
      return failure_of(program, *outcome, stage, output_file);
    }
  }
  return {};
}

}  // namespace cloud
