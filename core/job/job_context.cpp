// SPDX-License-Identifier: Apache-2.0
#include "core/job/job_context.hpp"

#include <pwd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

Error bad_variable(std::string_view name, std::string_view why) {
  return {Blame::node, std::string{name} + " " + std::string{why} +
                           ": this program is meant to be started by slurmd as Prolog or Epilog"};
}

template <typename Number>
Result<Number> number(const Lookup& lookup, std::string_view name) {
  const auto text = lookup(name);
  if (!text) return bad_variable(name, "is not set");
  Number value{};
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failure != std::errc{} || end != text->data() + text->size()) {
    return bad_variable(name, "is not a number");
  }
  return value;
}

}  // namespace

bool is_node_name(std::string_view text) {
  const auto alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !text.empty() && text.size() <= 64 && alnum(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; });
}

Lookup environment_lookup() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string{name}.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
  };
}

Result<JobContext> read_job_context(const Lookup& lookup) {
  JobContext context;
  const auto job_id = number<std::uint64_t>(lookup, "SLURM_JOB_ID");
  if (!job_id) return job_id.error();
  if (*job_id == 0) return bad_variable("SLURM_JOB_ID", "is 0");
  context.job_id = *job_id;
  const auto uid = number<std::uint32_t>(lookup, "SLURM_JOB_UID");
  if (!uid) return uid.error();
  context.uid = *uid;
  const auto node = lookup("SLURMD_NODENAME");
  if (!node) return bad_variable("SLURMD_NODENAME", "is not set");
  if (!is_node_name(*node)) return bad_variable("SLURMD_NODENAME", "is not a node name");
  context.node = *node;
  if (const auto user = lookup("SLURM_JOB_USER")) context.user = *user;
  if (lookup("SLURM_JOB_RESTART_COUNT")) {
    const auto count = number<std::uint32_t>(lookup, "SLURM_JOB_RESTART_COUNT");
    if (!count) return count.error();
    context.restart_count = *count;
  }
  if (lookup("SLURM_JOB_GID")) {
    const auto gid = number<std::uint32_t>(lookup, "SLURM_JOB_GID");
    if (!gid) return gid.error();
    context.gid = *gid;
  } else if (const auto* entry = ::getpwuid(context.uid)) {
    context.gid = entry->pw_gid;
  }
  return context;
}

std::string current_boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id", 4096);
  if (!text) return {};
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

}  // namespace cloud
