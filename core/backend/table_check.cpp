// SPDX-License-Identifier: Apache-2.0
#include "core/backend/table_check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <set>
#include <string_view>
#include <utility>

#include "core/backend/one_line.hpp"

namespace cloud {
namespace {

// What ABI 1.0 had: later fields are read only where CLOUD_HAS() finds them.
constexpr auto kSize10 = offsetof(cloud_backend_v1, console) + sizeof(cloud_backend_v1::console);
constexpr std::uint64_t kUnderstood = 0;

Error wrong(const std::string& path, const std::string& why) {
  return {Blame::site, path + ": " + why};
}

std::string hex(std::uint64_t bits) {
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(bits));
  return text;
}

std::string missing_functions(const cloud_backend_v1& table) {
  const std::pair<const char*, bool> functions[] = {
      {"open", table.open != nullptr},       {"close", table.close != nullptr},
      {"probe", table.probe != nullptr},     {"prepare", table.prepare != nullptr},
      {"start", table.start != nullptr},     {"wait_ready", table.wait_ready != nullptr},
      {"info", table.info != nullptr},       {"stop", table.stop != nullptr},
      {"destroy", table.destroy != nullptr}, {"list", table.list != nullptr}};
  std::string missing;
  for (const auto& [function, is_there] : functions) {
    if (!is_there) missing += (missing.empty() ? "" : ", ") + std::string{function} + "()";
  }
  return missing;
}

bool is_key(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

// One of the two lists of options; `taken` are the keys that the engine reads of such a table
// itself.
Result<void> check_options(const std::string& path, const std::string& what,
                           const cloud_option* options, std::size_t count,
                           std::set<std::string_view> taken) {
  if (count != 0 && options == nullptr) {
    return wrong(path, "it counts " + std::to_string(count) + " " + what + "s and has none");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto& option = options[i];
    const auto refuse = [&](const std::string& why) {
      return wrong(path, "its " + what + " " + std::to_string(i) + " " + why);
    };
    if (option.key == nullptr || !is_key(option.key)) {
      return refuse("has the key '" + one_line(option.key, 80) +
                    "' and shall have one of lower-case letters, digits and '_'");
    }
    if (!taken.insert(option.key).second) {
      return refuse("has the key '" + std::string{option.key} + "', which is taken");
    }
    if (option.type < CLOUD_STRING || option.type > CLOUD_BOOL) {
      return refuse("('" + std::string{option.key} + "') has the unknown type " +
                    std::to_string(option.type));
    }
    if (option.help == nullptr) {
      return refuse("('" + std::string{option.key} + "') has no help text");
    }
  }
  return {};
}

Result<void> check_capabilities(const std::string& path, const cloud_backend_v1& table) {
  if ((table.capabilities & CLOUD_CAP_CONSOLE) != 0 && table.console == nullptr) {
    return wrong(path, "it claims CLOUD_CAP_CONSOLE and its table has no console()");
  }
  if (table.image_formats == nullptr || *table.image_formats == '\0') {
    return wrong(path, "it names no image_formats");
  }
  return {};
}

}  // namespace

Result<void> check_table(const std::string& path, const std::string& name,
                         const cloud_backend_v1* table) {
  if (table == nullptr) {
    return wrong(path, std::string{CLOUD_ENTRY_SYMBOL} + "() returned no table");
  }
  if (table->struct_size < kSize10) {
    return wrong(path, "its table has " + std::to_string(table->struct_size) + " bytes and ABI " +
                           std::to_string(CLOUD_ABI_MAJOR) + ".0 needs " + std::to_string(kSize10) +
                           ": rebuild it with this SDK");
  }
  if (table->name == nullptr || name != table->name) {
    return wrong(path, "it calls itself '" + one_line(table->name, 80) +
                           "': rename the file or the backend");
  }
  if (table->version == nullptr) return wrong(path, "it has no version");
  if (const auto unknown = table->must_understand & ~kUnderstood; unknown != 0) {
    return wrong(path, "it relies on features that this release does not know (must_understand " +
                           hex(unknown) + "): install a newer spank-cloud");
  }
  if (const auto missing = missing_functions(*table); !missing.empty()) {
    return wrong(path, "its table has no " + missing);
  }
  if (auto good = check_capabilities(path, *table); !good) return good;
  if (auto good = check_options(path, "option", table->options, table->option_count,
                                {"enabled", "image", "pool"});
      !good) {
    return good;
  }
  return check_options(path, "image option", table->image_options, table->image_option_count,
                       {"path", "format", "init", "types", "description", "initrd", "cmdline",
                        "sha256", "initrd_sha256"});
}

}  // namespace cloud
