// SPDX-License-Identifier: Apache-2.0
#include "core/machine/guest_request.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

namespace cloud {
namespace {

constexpr std::string_view kMagic = "spank-cloud-task-1";
constexpr std::string_view kUnlimited = "unlimited";

struct LimitName {
  std::string_view name;
  int resource;
};
// By name, as the numbers are an architecture's own.
constexpr std::array kLimitNames{
    LimitName{"AS", RLIMIT_AS},         LimitName{"CORE", RLIMIT_CORE},
    LimitName{"CPU", RLIMIT_CPU},       LimitName{"DATA", RLIMIT_DATA},
    LimitName{"FSIZE", RLIMIT_FSIZE},   LimitName{"MEMLOCK", RLIMIT_MEMLOCK},
    LimitName{"NOFILE", RLIMIT_NOFILE}, LimitName{"NPROC", RLIMIT_NPROC},
    LimitName{"RSS", RLIMIT_RSS},       LimitName{"STACK", RLIMIT_STACK},
};

Error bad(const std::string& what) {
  return {Blame::internal, "a task's request is damaged: " + what};
}

template <typename Number>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value{};
  const auto* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || last != end) return std::nullopt;
  return value;
}

bool is_variable(std::string_view text) {
  const auto equals = text.find('=');
  return equals != std::string_view::npos && equals > 0;
}

// Reads the fields of a request one after the other.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : left_{bytes} {}

  [[nodiscard]] std::optional<std::string_view> next() {
    const auto end = left_.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const auto field = left_.substr(0, end);
    left_.remove_prefix(end + 1);
    return field;
  }

  [[nodiscard]] std::optional<std::vector<std::string>> list() {
    const auto length = next();
    const auto count = length ? number<std::size_t>(*length) : std::nullopt;
    // Each field has a byte at least: no reservation beyond what is really there.
    if (!count || *count > left_.size()) return std::nullopt;
    std::vector<std::string> fields;
    fields.reserve(*count);
    for (std::size_t i = 0; i < *count; ++i) {
      const auto field = next();
      if (!field) return std::nullopt;
      fields.emplace_back(*field);
    }
    return fields;
  }

  [[nodiscard]] bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

// false: not a limit at all.
bool read_limit(std::string_view text, std::vector<GuestLimit>& limits) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const auto value = text.substr(equals + 1);
  const auto soft =
      value == kUnlimited ? std::optional{kGuestUnlimited} : number<std::uint64_t>(value);
  if (!soft) return false;
  const auto* const known =
      std::ranges::find(kLimitNames, text.substr(0, equals), &LimitName::name);
  if (known != kLimitNames.end()) limits.push_back({known->resource, *soft});
  return true;
}

void append(std::string& bytes, std::string_view field) {
  bytes += field;
  bytes += '\0';
}

void append(std::string& bytes, std::span<const std::string> list) {
  append(bytes, std::to_string(list.size()));
  for (const auto& field : list) append(bytes, field);
}

std::string octal(mode_t mode) {
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), mode, 8).ptr;
  return {text.data(), end};
}

bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

}  // namespace

Result<std::string> serialise(const GuestRequest& request) {
  if (request.command.empty()) return Error{Blame::user, "a task has no command"};
  if (has_nul(request.working_directory) || std::ranges::any_of(request.command, has_nul) ||
      std::ranges::any_of(request.environment, has_nul) || has_nul(request.script)) {
    return Error{Blame::user, "a task's command, folder, environment or script holds a NUL byte"};
  }
  std::vector<std::string> limits;
  for (const auto& limit : request.limits) {
    const auto* const known = std::ranges::find(kLimitNames, limit.resource, &LimitName::resource);
    if (known == kLimitNames.end()) continue;
    limits.push_back(
        std::string{known->name} + '=' +
        (limit.soft == kGuestUnlimited ? std::string{kUnlimited} : std::to_string(limit.soft)));
  }
  std::string bytes;
  append(bytes, kMagic);
  append(bytes, request.working_directory);
  append(bytes, octal(request.umask & 0777));
  append(bytes, limits);
  // A shell may hand down what is no variable; no program could look it up.
  std::vector<std::string> environment;
  std::ranges::copy_if(request.environment, std::back_inserter(environment), is_variable);
  append(bytes, environment);
  append(bytes, request.command);
  append(bytes, request.script);
  if (bytes.size() > kGuestRequestMax) {
    return Error{Blame::user, "a task's environment and command have " +
                                  std::to_string(bytes.size()) + " bytes, " +
                                  std::to_string(kGuestRequestMax) + " at most can be passed on"};
  }
  return bytes;
}

Result<GuestRequest> parse_guest_request(std::string_view bytes) {
  if (bytes.size() > kGuestRequestMax) return bad("it is too long");
  Fields fields{bytes};
  const auto magic = fields.next();
  if (!magic || *magic != kMagic) return bad("it does not begin with " + std::string{kMagic});
  const auto directory = fields.next();
  if (!directory) return bad("no working directory");
  const auto mask_text = fields.next();
  const auto mask = mask_text ? number<mode_t>(*mask_text, 8) : std::nullopt;
  if (!mask || *mask > 0777) return bad("no umask");
  GuestRequest request;
  request.working_directory = *directory;
  request.umask = *mask;
  const auto limits = fields.list();
  if (!limits) return bad("no limits");
  for (const auto& limit : *limits) {
    if (!read_limit(limit, request.limits)) return bad("no limit: '" + limit.substr(0, 80) + "'");
  }
  auto environment = fields.list();
  if (!environment || !std::ranges::all_of(*environment, is_variable)) return bad("no environment");
  request.environment = std::move(*environment);
  auto command = fields.list();
  if (!command || command->empty()) return bad("no command");
  request.command = std::move(*command);
  const auto script = fields.next();
  if (!script) return bad("no script");
  request.script = *script;
  if (!fields.at_end()) return bad("bytes follow its end");
  return request;
}

std::string guest_status_text(int wait_status) {
  return WIFSIGNALED(wait_status) ? "signalled " + std::to_string(WTERMSIG(wait_status))
                                  : "exited " + std::to_string(WEXITSTATUS(wait_status));
}

std::optional<int> parse_guest_status(std::string_view text) {
  constexpr int kMostExit = 255;
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto value = number<int>(text.substr(space + 1));
  if (!value || *value < 0) return std::nullopt;
  const auto how = text.substr(0, space);
  if (how == "exited" && *value <= kMostExit) return W_EXITCODE(*value, 0);
  // Another number would make an exit or a stop of it.
  if (how == "signalled" && *value > 0 && *value <= SIGRTMAX) return W_EXITCODE(0, *value);
  return std::nullopt;
}

bool is_guest_token(std::string_view text) {
  return !text.empty() && text.size() <= kGuestTokenMax &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

int guest_exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace cloud
