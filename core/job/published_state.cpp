// SPDX-License-Identifier: Apache-2.0
#include "core/job/published_state.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

constexpr std::array kPhases{MachinePhase::prepared, MachinePhase::starting, MachinePhase::booting,
                             MachinePhase::ready,    MachinePhase::failed,   MachinePhase::ended};

constexpr std::array kEntries{MachineEntry::none, MachineEntry::namespaces, MachineEntry::ssh,
                              MachineEntry::pending};

void put(std::string& text, std::string_view key, std::string_view value) {
  text += key;
  text += '=';
  for (const char c : value) text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  text += '\n';
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc{} && end == text.data() + text.size();
}

Error bad_state(const std::string& why) {
  return {Blame::node, "the machine's state file " + why};
}

// Reads a small file as a whole; /proc files have no size.
Result<std::string> slurp(const std::string& path) {
  constexpr std::size_t kLimit = std::size_t{64} * 1024;
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!file) return os_error(Blame::node, "open " + path, errno);
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto count = ::read(file.value(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(Blame::node, "read " + path, errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kLimit) return Error{Blame::node, path + " is longer than 64 KiB"};
  }
}

}  // namespace

std::string_view to_string(MachinePhase phase) {
  switch (phase) {
    case MachinePhase::prepared:
      return "prepared";
    case MachinePhase::starting:
      return "starting";
    case MachinePhase::booting:
      return "booting";
    case MachinePhase::ready:
      return "ready";
    case MachinePhase::failed:
      return "failed";
    case MachinePhase::ended:
      return "ended";
  }
  return "invalid";
}

std::string_view to_string(MachineEntry entry) {
  switch (entry) {
    case MachineEntry::none:
      return "none";
    case MachineEntry::namespaces:
      return "namespaces";
    case MachineEntry::ssh:
      return "ssh";
    case MachineEntry::pending:
      return "pending";
  }
  return "invalid";
}

std::string serialize(const PublishedState& state) {
  std::string text;
  put(text, "protocol", std::to_string(state.protocol));
  put(text, "version", state.version);
  put(text, "job_id", std::to_string(state.job_id));
  put(text, "uid", std::to_string(state.uid));
  put(text, "phase", to_string(state.phase));
  put(text, "type", state.type);
  put(text, "image", state.image);
  put(text, "run", state.run);
  put(text, "machine", state.machine);
  put(text, "hostname", state.hostname);
  put(text, "address", state.address);
  put(text, "entry", to_string(state.entry));
  put(text, "ssh_user", state.ssh_user);
  put(text, "progress", state.progress);
  put(text, "reason", state.reason);
  put(text, "boot_limit_s", std::to_string(state.boot_limit_s));
  put(text, "keeper_pid", std::to_string(state.keeper_pid));
  put(text, "init_pid", std::to_string(state.init_pid));
  put(text, "init_start_time", std::to_string(state.init_start_time));
  return text;
}

Result<PublishedState> parse_published_state(std::string_view text) {
  PublishedState state;
  state.protocol = 0;
  bool phase_known = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return bad_state("is torn");
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return bad_state("has a line without '='");
    const auto key = line.substr(0, equals);
    const auto value = line.substr(equals + 1);
    bool good = true;
    if (key == "protocol") {
      good = read_number(value, state.protocol);
    } else if (key == "job_id") {
      good = read_number(value, state.job_id);
    } else if (key == "uid") {
      good = read_number(value, state.uid);
    } else if (key == "boot_limit_s") {
      good = read_number(value, state.boot_limit_s);
    } else if (key == "keeper_pid") {
      good = read_number(value, state.keeper_pid);
    } else if (key == "init_pid") {
      good = read_number(value, state.init_pid);
    } else if (key == "init_start_time") {
      good = read_number(value, state.init_start_time);
    } else if (key == "phase") {
      for (const auto phase : kPhases) {
        if (value != to_string(phase)) continue;
        state.phase = phase;
        phase_known = true;
      }
      good = phase_known;
    } else if (key == "entry") {
      good = false;
      for (const auto entry : kEntries) {
        if (value != to_string(entry)) continue;
        state.entry = entry;
        good = true;
      }
    } else if (key == "ssh_user") {
      state.ssh_user = value;
    } else if (key == "version") {
      state.version = value;
    } else if (key == "type") {
      state.type = value;
    } else if (key == "image") {
      state.image = value;
    } else if (key == "run") {
      state.run = value;
    } else if (key == "machine") {
      state.machine = value;
    } else if (key == "hostname") {
      state.hostname = value;
    } else if (key == "address") {
      state.address = value;
    } else if (key == "progress") {
      state.progress = value;
    } else if (key == "reason") {
      state.reason = value;
    }
    if (!good) return bad_state("has a bad value for '" + std::string{key} + "'");
  }
  if (state.protocol != kStateProtocol) {
    return bad_state("speaks protocol " + std::to_string(state.protocol) + " and this program " +
                     std::to_string(kStateProtocol) +
                     ": another version of spank-cloud runs on this node");
  }
  if (!phase_known) return bad_state("names no phase");
  if (state.job_id == 0) return bad_state("names no job");
  return state;
}

std::string published_dir(std::string_view run_dir, std::string_view node, std::uint64_t job_id) {
  return std::string{run_dir} + "/" + std::string{node} + "/jobs/" + std::to_string(job_id);
}

Result<PublishedState> read_published_state(const std::string& dir) {
  auto text = slurp(dir + "/state");
  if (!text) return std::move(text).error();
  return parse_published_state(*text);
}

std::uint64_t process_start_time(std::int64_t pid) {
  const auto stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return 0;
  // The command in field 2 may contain spaces and parentheses: count from the last ')'.
  const auto close = stat->rfind(')');
  if (close == std::string::npos) return 0;
  const char* field = stat->c_str() + close + 1;
  for (int number = 3; number <= 22; ++number) {
    while (*field == ' ') ++field;
    if (number == 22) return std::strtoull(field, nullptr, 10);
    while (*field != '\0' && *field != ' ') ++field;
  }
  return 0;
}

}  // namespace cloud
