// SPDX-License-Identifier: Apache-2.0
#include <spank-cloud/backend_abi.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>
#include <string_view>

#include "core/backend/elf_file.hpp"
#include "core/backend/one_line.hpp"
#include "core/system/trusted_path.hpp"
#include "tools/backend_check/check.hpp"
#include "tools/backend_check/worker.hpp"

namespace cloud {
namespace {

Verdict trusted_path(Bench& bench) {
  if (!bench.target.checks_owner) return Verdict::skip("--not-installed");
  return require_trusted(bench.target.file);
}

Verdict one_export(Bench& bench) {
  const auto elf = read_elf_file(bench.target.file);
  if (!elf) return elf.error();
  const auto& exports = elf->exports;
  if (exports.size() == 1 && exports.front() == CLOUD_ENTRY_SYMBOL) return {};
  for (const auto& name : exports) {
    if (name == CLOUD_ENTRY_SYMBOL) continue;
    return wrong("it exports " + one_line(name.c_str(), 200) + ", " +
                 std::to_string(exports.size()) + " symbols in all: export only " +
                 CLOUD_ENTRY_SYMBOL + " (cloud_add_backend() does that)");
  }
  return wrong(std::string{"it does not export "} + CLOUD_ENTRY_SYMBOL);
}

Verdict link_flags(Bench& bench) {
  const auto elf = read_elf_file(bench.target.file);
  if (!elf) return elf.error();
  if (!elf->binds_eagerly) return wrong("it is linked without -z now");
  if (!elf->never_unloads) return wrong("it is linked without -z nodelete");
  return {};
}

// What cannot be loaded is said by `loads` alone.
Verdict with_table(Bench& bench, const std::function<Result<void>(const cloud_backend_v1&)>& look) {
  const auto seen = in_worker(Role::hook, "", [&]() -> Result<std::string> {
    auto subject = Subject::load(bench.target);
    if (!subject) return std::string{"not loaded"};
    if (auto good = look(subject->table()); !good) return std::move(good).error();
    return std::string{"good"};
  });
  if (seen && *seen == "not loaded") return Verdict::skip("it is not loaded");
  return seen ? Verdict{} : Verdict{seen.error()};
}

Verdict loads(Bench& bench) {
  const auto loaded = in_worker(Role::hook, "", [&]() -> Result<std::string> {
    auto subject = Subject::load(bench.target);
    if (!subject) return std::move(subject).error();
    return std::string{};
  });
  return loaded ? Verdict{} : Verdict{loaded.error()};
}

bool is_clean(const char* text) {
  return text != nullptr && *text != '\0' && one_line(text, 4096) == text;
}

Result<void> check_option(const std::string& what, const cloud_option& option) {
  const auto name = what + " '" + option.key + "'";
  if (!is_clean(option.help)) return wrong(name + ": its help is not one line of text");
  if (!std::string_view{option.help}.ends_with('.')) {
    return wrong(name + ": its help is no sentence that ends with a period");
  }
  if (option.fallback == nullptr) return {};
  const std::string_view fallback{option.fallback};
  if (option.required != 0) return wrong(name + ": it is required and has a default");
  if (option.type == CLOUD_BOOL && fallback != "true" && fallback != "false") {
    return wrong(name + ": its default '" + one_line(option.fallback, 80) +
                 "' is neither true nor false");
  }
  if (option.type == CLOUD_INT) {
    std::int64_t value = 0;
    const auto* end = fallback.data() + fallback.size();
    const auto parsed = std::from_chars(fallback.data(), end, value);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
      return wrong(name + ": its default '" + one_line(option.fallback, 80) + "' is no integer");
    }
  }
  return {};
}

Verdict options(Bench& bench) {
  return with_table(bench, [](const cloud_backend_v1& table) -> Result<void> {
    for (std::size_t i = 0; i < table.option_count; ++i) {
      if (auto good = check_option("option", table.options[i]); !good) return good;
    }
    for (std::size_t i = 0; i < table.image_option_count; ++i) {
      if (auto good = check_option("image option", table.image_options[i]); !good) return good;
    }
    return {};
  });
}

Verdict formats(Bench& bench) {
  return with_table(bench, [](const cloud_backend_v1& table) -> Result<void> {
    static const std::set<std::string> known{"directory", "squashfs", "raw", "qcow2", "kernel"};
    std::istringstream words{table.image_formats};
    std::set<std::string> seen;
    for (std::string word; words >> word;) {
      const auto shown = one_line(word.c_str(), 80);
      if (!known.contains(word)) return wrong("no image can have its format '" + shown + "'");
      if (!seen.insert(word).second) return wrong("it names the format '" + shown + "' twice");
    }
    return {};
  });
}

Verdict capabilities(Bench& bench) {
  return with_table(bench, [](const cloud_backend_v1& table) -> Result<void> {
    const bool claims_console = (table.capabilities & CLOUD_CAP_CONSOLE) != 0;
    if (!claims_console && table.console != nullptr) {
      return wrong("it has console() and does not claim CLOUD_CAP_CONSOLE");
    }
    constexpr auto kBoth = CLOUD_CAP_NAMESPACES | CLOUD_CAP_SSH;
    if ((table.capabilities & kBoth) == kBoth) {
      return wrong("it claims CLOUD_CAP_NAMESPACES and CLOUD_CAP_SSH: tasks enter one way");
    }
    if (!is_clean(table.version)) return wrong("its version is not one line of text");
    return {};
  });
}

}  // namespace

std::vector<Check> static_checks() {
  return {{"trusted_path", "the file and its folders are root's alone to change", trusted_path},
          {"one_export", "it exports its entry point and nothing else", one_export},
          {"link_flags", "it binds eagerly and is never unloaded", link_flags},
          {"loads", "the engine loads it and its table is well-formed", loads},
          {"options", "its options describe themselves", options},
          {"formats", "images can have its formats", formats},
          {"capabilities", "its capabilities and functions agree", capabilities}};
}

}  // namespace cloud
