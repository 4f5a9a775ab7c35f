// SPDX-License-Identifier: Apache-2.0
#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <spank-cloud/backend_abi.h>

#include "core/backend/backend.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

using boost::dll::load_mode::rtld_local;
using boost::dll::load_mode::rtld_now;

// Never closed: libvirt and C++ thread-locals do not survive dlclose(), and an error's strings may lie
// in the library.
boost::dll::shared_library& keep(boost::dll::shared_library library) {
  static auto& kept = *new std::deque<boost::dll::shared_library>;
  return kept.emplace_back(std::move(library));
}

std::string backends_in(const std::string& dir) {
  constexpr std::string_view kPrefix = "cloud_backend_";
  std::string names;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator{dir, problem}) {
    const auto stem = entry.path().stem().string();
    if (entry.path().extension() != ".so" || !stem.starts_with(kPrefix)) continue;
    names += (names.empty() ? "" : ", ") + stem.substr(kPrefix.size());
  }
  return names.empty() ? "none" : names;
}

Result<void> require_elf(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string magic(4, '\0');
  file.read(magic.data(), 4);
  if (!file || magic != "\x7f" "ELF") {
    return Error{Blame::site, path + " is no shared object: it does not begin with the ELF magic"};
  }
  return {};
}

Error wrong_table(const std::string& path, const std::string& why) {
  return {Blame::site, path + ": " + why};
}

Result<void> check_table(const std::string& path, const std::string& name,
                         const cloud_backend_v1* table) {
  constexpr auto kSize10 = offsetof(cloud_backend_v1, list) + sizeof(cloud_backend_v1::list);
  if (table == nullptr) return wrong_table(path, std::string{CLOUD_ENTRY_SYMBOL} + "() returned no table");
  if (table->struct_size < kSize10) {
    return wrong_table(path, "its table has " + std::to_string(table->struct_size) + " bytes and ABI " +
                                 std::to_string(CLOUD_ABI_MAJOR) + ".0 needs " +
                                 std::to_string(kSize10) + ": rebuild it with this SDK");
  }
  if (table->name == nullptr || name != table->name) {
    return wrong_table(path, "it calls itself '" +
                                 printable(table->name == nullptr ? "" : table->name) +
                                 "': rename the file or the backend");
  }
  if (table->version == nullptr) return wrong_table(path, "it has no version");
  // No must-understand bit is defined in ABI 1.0.
  if (table->must_understand != 0) {
    return wrong_table(path, "it needs abilities that this release does not know (must_understand " +
                                 std::to_string(table->must_understand) + "): install a newer release");
  }
  const std::pair<const char*, bool> functions[] = {
      {"open", table->open != nullptr},       {"close", table->close != nullptr},
      {"probe", table->probe != nullptr},     {"prepare", table->prepare != nullptr},
      {"start", table->start != nullptr},     {"wait_ready", table->wait_ready != nullptr},
      {"info", table->info != nullptr},       {"stop", table->stop != nullptr},
      {"destroy", table->destroy != nullptr}, {"list", table->list != nullptr}};
  for (const auto& [function, is_there] : functions) {
    if (!is_there) return wrong_table(path, "its table has no " + std::string{function}+ "()");
  }
  for (std::size_t i = 0; i < table->option_count; ++i) {
    const auto& option = table->options[i];
    if (option.key == nullptr || option.help == nullptr || option.type < CLOUD_STRING ||
        option.type > CLOUD_BOOL) {
      return wrong_table(path, "its option " + std::to_string(i) + " is not well formed");
    }
  }
  return {};
}

// Another major of the ABI is in the symbol's name, so a file of one can say so.
std::string other_major(const boost::dll::shared_library& library) {
  for (unsigned major = 0; major < 16; ++major) {
    if (library.has("cloud_backend_entry_v" + std::to_string(major))) return std::to_string(major);
  }
  return {};
}

Result<const cloud_backend_v1*> load(const std::string& path) {
  try {
    auto& library = keep(boost::dll::shared_library{std::filesystem::path{path}, rtld_now | rtld_local});
    if (!library.has(CLOUD_ENTRY_SYMBOL)) {
      const auto major = other_major(library);
      if (major.empty()) return wrong_table(path, std::string{"it exports no "} + CLOUD_ENTRY_SYMBOL);
      return wrong_table(path, "it speaks backend ABI " + major + " and this release speaks " +
                                   std::to_string(CLOUD_ABI_MAJOR) + ": install a matching build");
    }
    return library.get<const cloud_backend_v1*()>(CLOUD_ENTRY_SYMBOL)();
  } catch (const std::exception& problem) {
    return wrong_table(path, std::string{"it cannot be loaded: "} + problem.what());
  } catch (...) {
    return wrong_table(path, "its entry point throws");
  }
}

}  // namespace

Result<const cloud_backend_v1*> load_backend_table(const std::string& dir, const std::string& name) {
  if (auto good = parse_type(name); !good) return std::move(good).error();
  const auto path = dir + "/cloud_backend_" + name + ".so";
  if (!std::filesystem::exists(path)) {
    return Error{Blame::site, "no backend '" + name + "': " + path +
                                  " does not exist (in that folder: " + backends_in(dir) + ")"};
  }
  if (auto trusted = require_trusted(path); !trusted) {
    return std::move(trusted).error().within("backend '" + name + "' is not loaded");
  }
  if (auto elf = require_elf(path); !elf) return std::move(elf).error();
  auto table = load(path);
  if (!table) return std::move(table).error();
  if (auto good = check_table(path, name, *table); !good) return std::move(good).error();
  return *table;
}

}  // namespace cloud
