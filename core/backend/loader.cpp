// SPDX-License-Identifier: Apache-2.0
#define BOOST_DLL_USE_STD_FS
#include <spank-cloud/backend_abi.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cctype>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/backend/elf_file.hpp"
#include "core/backend/load_trial.hpp"
#include "core/backend/one_line.hpp"
#include "core/backend/table_check.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using boost::dll::load_mode::rtld_local;
using boost::dll::load_mode::rtld_now;
using Entry = const cloud_backend_v1*();

constexpr unsigned kMajorsToName = 16;

// Never closed: libvirt and C++ thread-locals do not survive dlclose(), and an error's strings may
// lie in the library.
boost::dll::shared_library& keep(boost::dll::shared_library library) {
  static auto& kept = *new std::deque<boost::dll::shared_library>;
  return kept.emplace_back(std::move(library));
}

Error refuse(const std::string& path, const std::string& why) {
  return {Blame::site, path + ": " + why};
}

std::string backends_in(const std::string& dir) {
  std::string names;
  for (const auto& name : backend_names_in(dir)) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "there are no backends in that folder" : "in that folder: " + names;
}

Result<void> require_elf(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string head(64, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  if (head.starts_with("\x7f"
                       "ELF"))
    return {};
  const bool is_text = !head.empty() && std::all_of(head.begin(), head.end(), [](unsigned char c) {
    return std::isprint(c) != 0 || std::isspace(c) != 0;
  });
  return refuse(path, is_text ? "is a text file and shall be a shared object"
                              : "is not an ELF shared object");
}

// Boost wraps the text that helps: "...load() failed (dlerror system message: WHY): Bad file
// descriptor".
std::string dlerror_text(std::string_view what) {
  constexpr std::string_view kBefore = "dlerror system message: ";
  constexpr std::string_view kAfter = "): ";
  if (const auto begin = what.find(kBefore); begin != std::string_view::npos) {
    what.remove_prefix(begin + kBefore.size());
    if (const auto end = what.rfind(kAfter); end != std::string_view::npos)
      what = what.substr(0, end);
  }
  return one_line(std::string{what}.c_str(), 1000);
}

// The major of the ABI is in the symbol's name, so a file of another one can be told by it.
std::string other_major(const boost::dll::shared_library& library) {
  for (unsigned major = 0; major < kMajorsToName; ++major) {
    if (library.has("cloud_backend_entry_v" + std::to_string(major))) return std::to_string(major);
  }
  return {};
}

// More than the entry point would be found by whatever is loaded later, and mean another thing.
Result<void> require_one_export(const std::string& path) {
  const auto file = read_elf_file(path);
  if (!file) return file.error();
  const auto& names = file->exports;
  const auto entry = std::find(names.begin(), names.end(), CLOUD_ENTRY_SYMBOL);
  // Without one it is something else altogether, as is said later.
  if (entry == names.end() || names.size() == 1) return {};
  const auto& other = names.front() == CLOUD_ENTRY_SYMBOL ? names.back() : names.front();
  return refuse(path,
                "it exports " + std::to_string(names.size()) + " symbols, such as " +
                    one_line(other.c_str(), 120) + ", and shall export " + CLOUD_ENTRY_SYMBOL +
                    " alone: build it with cloud_add_backend(), or with the SDK's backend.map");
}

Result<Entry*> find_entry(const std::string& path) {
  try {
    auto& library = keep(boost::dll::shared_library{fs::path{path}, rtld_now | rtld_local});
    if (library.has(CLOUD_ENTRY_SYMBOL)) return &library.get<Entry>(CLOUD_ENTRY_SYMBOL);
    const auto major = other_major(library);
    if (major.empty()) {
      return refuse(path, std::string{"is no backend: it does not export "} + CLOUD_ENTRY_SYMBOL);
    }
    return refuse(path, "it speaks backend ABI " + major + " and this release speaks " +
                            std::to_string(CLOUD_ABI_MAJOR) + ": install a matching build");
  } catch (const std::exception& problem) {
    return refuse(path, "cannot be loaded: " + dlerror_text(problem.what()));
  }
}

Result<const cloud_backend_v1*> call_entry(const std::string& path, Entry* entry) {
  try {
    return entry();
  } catch (const std::exception& problem) {
    return refuse(path,
                  std::string{CLOUD_ENTRY_SYMBOL} + "() throws: " + one_line(problem.what(), 500));
  } catch (...) {
    return refuse(path, std::string{CLOUD_ENTRY_SYMBOL} + "() throws");
  }
}

Result<const cloud_backend_v1*> load_checked(const std::string& path, const std::string& name,
                                             const std::string& notes) {
  if (auto elf = require_elf(path); !elf) return std::move(elf).error();
  const auto load = [&] {
    const auto entry = find_entry(path);
    if (!entry) return;
    // A table that points nowhere kills who reads it, too.
    if (const auto table = call_entry(path, *entry)) (void)check_table(path, name, *table);
  };
  if (auto good = require_one_export(path); !good) return std::move(good).error();
  if (auto survived = try_loading(path, notes, load); !survived) return std::move(survived).error();
  const auto entry = find_entry(path);
  if (!entry) return entry.error();
  auto table = call_entry(path, *entry);
  if (!table) return table;
  if (auto good = check_table(path, name, *table); !good) return std::move(good).error();
  return table;
}

}  // namespace

std::string backend_file(const std::string& dir, const std::string& name) {
  return dir + "/cloud_backend_" + name + ".so";
}

Result<const cloud_backend_v1*> load_unowned_backend_table(const std::string& real,
                                                           const std::string& name) {
  return load_checked(real, name, "");
}

std::optional<std::string> backend_name(const std::string& file) {
  constexpr std::string_view kPrefix = "cloud_backend_";
  const fs::path path{file};
  const auto stem = path.stem().string();
  if (path.extension() != ".so" || !stem.starts_with(kPrefix)) return std::nullopt;
  return stem.substr(kPrefix.size());
}

std::vector<std::string> backend_names_in(const std::string& dir) {
  std::vector<std::string> found;
  std::error_code problem;
  for (fs::directory_iterator entry{dir, problem}; !problem && entry != fs::directory_iterator{};
       entry.increment(problem)) {
    const auto name = backend_name(entry->path().string());
    if (name) found.push_back(one_line(name->c_str(), 80));
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<const cloud_backend_v1*> load_backend_table(const std::string& dir, const std::string& name,
                                                   const std::string& notes) {
  if (auto good = parse_type(name); !good) {
    return Error{Blame::site,
                 "'" + one_line(name.c_str(), 80) +
                     "' is no backend name: a name is of lower-case letters, digits and "
                     "'_', and begins with a letter"};
  }
  if (!dir.starts_with('/')) {
    return Error{Blame::site, "backend folder '" + dir + "' shall be an absolute path"};
  }
  const auto path = backend_file(dir, name);
  std::error_code problem;
  // What was checked is what is loaded: a link on the way could be turned in between.
  const auto real = fs::canonical(path, problem).string();
  if (problem == std::errc::no_such_file_or_directory) {
    return Error{Blame::site, "no backend '" + name + "': " + path + " does not exist (" +
                                  backends_in(dir) + ")"};
  }
  if (problem) return refuse(path, problem.message());
  if (auto trusted = require_trusted(real); !trusted) {
    return std::move(trusted).error().within("backend '" + name + "' is not loaded");
  }
  return load_checked(real, name, notes);
}

}  // namespace cloud
