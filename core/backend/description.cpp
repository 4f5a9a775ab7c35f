// SPDX-License-Identifier: Apache-2.0
#include "core/backend/description.hpp"

#include <spank-cloud/backend_abi.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/backend/one_line.hpp"

namespace cloud {
namespace {

constexpr std::size_t kTextMax = 1000;

struct Option {
  std::string key;
  std::string type;
  bool required;
  bool has_fallback;
  std::string fallback;
  std::string help;
};

std::vector<Option> options_of(const cloud_option* first, std::size_t count) {
  std::vector<Option> options;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& option = first[i];
    const bool is_text = option.type == CLOUD_STRING;
    const auto fallback = one_line(option.fallback, kTextMax);
    options.push_back({one_line(option.key, kTextMax),
                       is_text                    ? "string"
                       : option.type == CLOUD_INT ? "integer"
                                                  : "boolean",
                       option.required != 0, option.fallback != nullptr,
                       is_text ? "\"" + fallback + "\"" : fallback,
                       one_line(option.help, kTextMax)});
  }
  return options;
}

std::vector<std::string> capabilities_of(const cloud_backend_v1& table) {
  std::vector<std::string> found;
  auto left = table.capabilities;
  const auto take = [&](std::uint64_t bit, const char* text) {
    if ((left & bit) != 0) found.emplace_back(text);
    left &= ~bit;
  };
  take(CLOUD_CAP_NAMESPACES, "namespaces (tasks run inside)");
  take(CLOUD_CAP_SSH, "ssh (tasks run inside, by OpenSSH)");
  take(CLOUD_CAP_CONSOLE, "console (cloudctl console)");
  if (left != 0) found.emplace_back("others that this release does not know");
  return found;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

std::string formats_of(const cloud_backend_v1& table) {
  std::istringstream words{one_line(table.image_formats, kTextMax)};
  std::vector<std::string> formats;
  for (std::string word; words >> word;) formats.push_back(word);
  if (formats.size() > 1) formats.front() += " (default)";
  return joined(formats);
}

std::string abi_of(const cloud_backend_v1& table) {
  return std::to_string(CLOUD_ABI_MAJOR) + "." + std::to_string(table.abi_minor);
}

std::string rule_of(const Option& option) {
  std::string rule = option.type;
  if (option.required) rule += ", required";
  if (option.has_fallback) rule += ", default " + option.fallback;
  return rule;
}

std::string listed(const std::string& title, const std::vector<Option>& options) {
  if (options.empty()) return title + " none\n";
  std::string text = title + "\n";
  for (const auto& option : options) {
    text += "  " + option.key + " (" + rule_of(option) + ")\n      " + option.help + "\n";
  }
  return text;
}

// A text in roff: no character of it is a command.
std::string roff(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '\\':
        safe += "\\e";
        break;
      case '-':
        safe += "\\-";
        break;
      case '"':
        safe += "\\(dq";
        break;
      default:
        safe += c;
    }
  }
  // A period or a quote begins a request only at the start of a line.
  return safe.empty() || (safe.front() != '.' && safe.front() != '\'') ? safe : "\\&" + safe;
}

std::string roff_options(const std::vector<Option>& options) {
  std::string text;
  for (const auto& option : options) {
    text += ".TP\n\\fB" + roff(option.key) + "\\fR (" + roff(rule_of(option)) + ")\n" +
            roff(option.help) + "\n";
  }
  return text;
}

}  // namespace

std::string describe_backend(const cloud_backend_v1& table, const std::string& file) {
  const auto name = one_line(table.name, kTextMax);
  return "backend:       " + name + " " + backend_version(table) + "\n" + "file:          " + file +
         "\n" + "ABI:           " + abi_of(table) + "\n" +
         "capabilities:  " + joined(capabilities_of(table)) + "\n" +
         "image formats: " + formats_of(table) + "\n" +
         listed("options of [backend." + name + "]:",
                options_of(table.options, table.option_count)) +
         listed("options of an [image.NAME]:",
                options_of(table.image_options, table.image_option_count));
}

std::string backend_version(const cloud_backend_v1& table) {
  return one_line(table.version, kTextMax);
}

std::string backend_manual(const cloud_backend_v1& table) {
  const auto name = one_line(table.name, kTextMax);
  auto upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const auto options = options_of(table.options, table.option_count);
  const auto image_options = options_of(table.image_options, table.image_option_count);
  std::string page = ".\\\" Made from the backend's own table: cloudctl backend show " + name +
                     " --man\n" + ".TH SPANK\\-CLOUD\\-BACKEND\\-" + roff(upper) + " 7 \"\" \"" +
                     roff(name) + " " + roff(backend_version(table)) + "\" \"spank\\-cloud\"\n" +
                     ".SH NAME\n" + "spank\\-cloud\\-backend\\-" + roff(name) +
                     " \\- machines of type " + roff(name) + "\n" + ".SH SYNOPSIS\n.nf\n[backend." +
                     roff(name) + "]\n";
  for (const auto& option : options) {
    page += roff(option.key) + " = \\fI" + roff(option.type) + "\\fR\n";
  }
  page += ".fi\n.SH DESCRIPTION\nUsers ask for such a machine with \\fB\\-\\-cloud\\-type=" +
          roff(name) +
          "\\fR. It can have these keys in cloud.toml, beside \\fBenabled\\fR, \\fBimage\\fR and " +
          "\\fBpool\\fR, which every backend has.\n.PP\nCapabilities: " +
          roff(joined(capabilities_of(table))) +
          ".\n.PP\nImage formats: " + roff(formats_of(table)) +
          ".\n.PP\nBackend ABI: " + abi_of(table) + ".\n";
  if (!options.empty()) page += ".SH OPTIONS\n" + roff_options(options);
  if (!image_options.empty()) {
    page += ".SH IMAGE OPTIONS\nKeys of an [image.NAME] that such a machine uses.\n" +
            roff_options(image_options);
  }
  return page + ".SH SEE ALSO\n\\fBcloudctl\\fR backend list, \\fBcloudctl\\fR check\n";
}

}  // namespace cloud
