// SPDX-License-Identifier: Apache-2.0
#include "core/job/request.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace cloud {
namespace {

constexpr bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alnum(char c) {
  return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

Error refuse(std::string_view option, std::string_view text, std::string_view expected) {
  return {Blame::user, "bad value '" + printable(text) + "' for --" + std::string{option} + ": " +
                           std::string{expected}};
}

// The length of the UTF-8 sequence that starts a text, 0 where it is not valid UTF-8. Overlong
// forms and surrogates are not told apart: they only reach a message or a path lookup.
std::size_t utf8_sequence(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  std::size_t length = 0;
  if (lead < 0x80) {
    length = 1;
  } else if (lead >= 0xC2 && lead < 0xE0) {
    length = 2;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3;
  } else if (lead >= 0xF0 && lead < 0xF5) {
    length = 4;
  }
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool is_printable_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto length = utf8_sequence(text);
    if (length == 0 || is_control(text.front())) return false;
    // U+0080..U+009F are control characters, too.
    if (length == 2 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) < 0xA0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

bool has_dot_component(std::string_view path) {
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto component = path.substr(0, end);
    if (component == ".." || component == ".") return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path.substr(0, folder.size()) == folder &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string without_repeated_slashes(std::string_view path) {
  std::string result;
  for (const char c : path) {
    if (c == '/' && !result.empty() && result.back() == '/') continue;
    result += c;
  }
  if (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

Result<std::string> parse_path(std::string_view text, std::string_view what,
                               std::string_view option = "cloud-mount") {
  const auto refuse_path = [&](std::string_view reason) {
    return refuse(option, text, std::string{what} + " " + std::string{reason});
  };
  if (text.empty() || text.front() != '/') return refuse_path("shall be an absolute path");
  if (text.size() > kPathMax) return refuse_path("is longer than 1024 bytes");
  if (!is_printable_utf8(text)) return refuse_path("shall be printable UTF-8");
  if (has_dot_component(text)) return refuse_path("shall not contain '.' or '..'");
  return without_repeated_slashes(text);
}

Result<MountRequest> parse_mount(std::string_view text) {
  constexpr std::string_view kForm = "choose SRC[:DST][:ro], several separated by ','";
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(':', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  MountRequest mount;
  if (parts.size() > 1 && (parts.back() == "ro" || parts.back() == "rw")) {
    mount.read_only = parts.back() == "ro";
    parts.pop_back();
  }
  if (parts.size() > 2) return refuse("cloud-mount", text, kForm);
  auto source = parse_path(parts.front(), "the source");
  if (!source) return std::move(source).error();
  auto target = parse_path(parts.back(), "the target");
  if (!target) return std::move(target).error();
  if (*target == "/") return refuse("cloud-mount", text, "the target shall not be /");
  for (const std::string_view kernel : {"/proc", "/sys", "/dev"}) {
    if (is_at_or_below(*target, kernel)) {
      return refuse("cloud-mount", text,
                    "the target shall not be at or below " + std::string{kernel});
    }
  }
  mount.source = *std::move(source);
  mount.target = *std::move(target);
  return mount;
}

}  // namespace

std::string_view to_string(RunMode mode) {
  switch (mode) {
    case RunMode::steps:
      return "steps";
    case RunMode::all:
      return "all";
    case RunMode::host:
      return "host";
  }
  return "invalid";
}

std::string_view to_string(ReadyLevel level) {
  switch (level) {
    case ReadyLevel::boot:
      return "boot";
    case ReadyLevel::ssh:
      return "ssh";
    case ReadyLevel::cloud_init:
      return "cloud-init";
  }
  return "invalid";
}

std::string printable(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string result;
  while (!text.empty()) {
    const auto length = utf8_sequence(text);
    const auto sequence = text.substr(0, std::max<std::size_t>(length, 1));
    if (result.size() + sequence.size() > kShown) return result + "...";
    if (is_printable_utf8(sequence)) {
      result += sequence;
    } else {
      result += '?';
    }
    text.remove_prefix(sequence.size());
  }
  return result;
}

Result<std::string> parse_type(std::string_view text) {
  const bool good = !text.empty() && text.size() <= kNameMax && is_lower(text.front()) &&
                    std::all_of(text.begin(), text.end(),
                                [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
  if (!good) {
    return refuse("cloud-type", text,
                  "a type is a lower-case name of at most 63 letters, digits and '_'");
  }
  return std::string{text};
}

Result<std::string> parse_image(std::string_view text) {
  const bool good = !text.empty() && text.size() <= kNameMax && is_alnum(text.front()) &&
                    text.find("..") == std::string_view::npos &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return is_alnum(c) || c == '.' || c == '_' || c == '-';
                    });
  if (!good) {
    return refuse(
        "cloud-image", text,
        "an image is a name of the site's catalogue, at most 63 letters, digits, '.', '_' "
        "and '-'");
  }
  return std::string{text};
}

Result<bool> parse_create(std::string_view text) {
  if (text == "yes") return true;
  if (text == "no") return false;
  return refuse("cloud-create", text, "choose yes or no");
}

Result<RunMode> parse_run(std::string_view text) {
  for (const auto mode : {RunMode::steps, RunMode::all, RunMode::host}) {
    if (text == to_string(mode)) return mode;
  }
  return refuse("cloud-run", text, "choose steps, all or host");
}

Result<ReadyLevel> parse_ready(std::string_view text) {
  for (const auto level : {ReadyLevel::boot, ReadyLevel::ssh, ReadyLevel::cloud_init}) {
    if (text == to_string(level)) return level;
  }
  return refuse("cloud-ready", text, "choose boot, ssh or cloud-init");
}

Result<std::chrono::seconds> parse_timeout(std::string_view text) {
  constexpr std::int64_t kMost = 86400;
  std::int64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [after, failure] = std::from_chars(text.data(), end, value);
  const std::string_view unit{after, static_cast<std::size_t>(end - after)};
  const std::int64_t scale = unit == "h"                   ? 3600
                             : unit == "m"                 ? 60
                             : unit == "s" || unit.empty() ? 1
                                                           : 0;
  if (failure != std::errc{} || scale == 0 || value < 1 || value > kMost / scale) {
    return refuse("cloud-timeout", text, "give 1 s to 24 h, such as 90, 90s or 5m");
  }
  return std::chrono::seconds{value * scale};
}

Result<std::string> parse_user_data(std::string_view text) {
  return parse_path(text, "the file", "cloud-user-data");
}

Result<std::vector<MountRequest>> parse_mounts(std::string_view text) {
  std::vector<MountRequest> mounts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    auto mount = parse_mount(text.substr(begin, end - begin));
    if (!mount) return std::move(mount).error();
    const auto twice = std::any_of(mounts.begin(), mounts.end(), [&](const MountRequest& other) {
      return other.target == mount->target;
    });
    if (twice) {
      return refuse("cloud-mount", text, "the target " + mount->target + " is there twice");
    }
    mounts.push_back(*std::move(mount));
    if (mounts.size() > kMountsMax) return refuse("cloud-mount", text, "more than 32 mounts");
    begin = end + 1;
  }
  return mounts;
}

Result<std::optional<Request>> parse_request(const Lookup& lookup, std::string_view default_type) {
  const auto cloud = lookup("SPANK_cloud");
  const auto create = lookup("SPANK_cloud_create");
  const auto type = lookup("SPANK_cloud_type");
  const auto image = lookup("SPANK_cloud_image");
  const auto run = lookup("SPANK_cloud_run");
  const auto mount = lookup("SPANK_cloud_mount");
  const auto ready = lookup("SPANK_cloud_ready");
  const auto timeout = lookup("SPANK_cloud_timeout");
  const auto user_data = lookup("SPANK_cloud_user_data");

  const bool any =
      cloud || create || type || image || run || mount || ready || timeout || user_data;
  if (!any) return std::optional<Request>{};

  Request request;
  if (create) {
    auto parsed = parse_create(*create);
    if (!parsed) return std::move(parsed).error();
    if (!*parsed) return std::optional<Request>{};
  }
  for (const auto& value : {cloud, type}) {
    if (!value) continue;
    auto parsed = parse_type(*value);
    if (!parsed) return std::move(parsed).error();
    if (!request.type.empty() && request.type != *parsed) {
      return Error{Blame::user, "--cloud=" + request.type + " and --cloud-type=" + *parsed +
                                    " contradict each other: give one of them"};
    }
    request.type = *std::move(parsed);
  }
  if (image) {
    auto parsed = parse_image(*image);
    if (!parsed) return std::move(parsed).error();
    request.image = *std::move(parsed);
  }
  if (run) {
    auto parsed = parse_run(*run);
    if (!parsed) return std::move(parsed).error();
    request.run = *parsed;
  }
  if (mount) {
    auto parsed = parse_mounts(*mount);
    if (!parsed) return std::move(parsed).error();
    request.mounts = *std::move(parsed);
  }
  if (ready) {
    auto parsed = parse_ready(*ready);
    if (!parsed) return std::move(parsed).error();
    request.ready = *parsed;
  }
  if (timeout) {
    auto parsed = parse_timeout(*timeout);
    if (!parsed) return std::move(parsed).error();
    request.timeout = *parsed;
  }
  if (user_data) {
    auto parsed = parse_user_data(*user_data);
    if (!parsed) return std::move(parsed).error();
    request.user_data = *std::move(parsed);
  }
  if (request.type.empty()) request.type = default_type;
  if (request.type.empty()) {
    const std::string_view lone = create    ? "--cloud-create"
                                  : image   ? "--cloud-image"
                                  : run     ? "--cloud-run"
                                  : mount   ? "--cloud-mount"
                                  : ready   ? "--cloud-ready"
                                  : timeout ? "--cloud-timeout"
                                            : "--cloud-user-data";
    return Error{Blame::user, std::string{lone} +
                                  " needs a type: add --cloud-type=TYPE, this site "
                                  "has no default type"};
  }
  return std::optional<Request>{std::move(request)};
}

}  // namespace cloud
