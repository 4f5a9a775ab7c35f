// SPDX-License-Identifier: Apache-2.0
#ifndef SPANK_CLOUD_REGISTRY_HPP
#define SPANK_CLOUD_REGISTRY_HPP

#include <filesystem>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <string>

namespace cloud {
namespace sdk {

/// The names of a backend's machines, for an engine that keeps no list of them: a folder with an
/// empty file for each. Below /run, as no machine outlives a boot of the node. A name is added
/// before all else that prepare() makes and removed after all that destroy() removes, so that
/// list() finds what a killed process has left. Throws Failure or
/// std::filesystem::filesystem_error.
class Registry {
 public:
  explicit Registry(std::string folder) : folder_{std::move(folder)} {}

  void add(const char* name) const {
    std::filesystem::create_directories(folder_);
    std::ofstream mark{path_of(name)};
    if (!mark) throw system_failure(CLOUD_E_NODE, "make " + path_of(name).string(), errno);
  }
  void remove(const char* name) const { std::filesystem::remove(path_of(name)); }
  [[nodiscard]] bool has(const char* name) const { return std::filesystem::exists(path_of(name)); }

  /// Calls it with each name, a std::string.
  template <typename Visitor>
  void visit(Visitor&& visitor) const {
    if (!std::filesystem::exists(folder_)) return;
    for (const auto& mark : std::filesystem::directory_iterator{folder_}) {
      visitor(mark.path().filename().string());
    }
  }

 private:
  // The engine promises such names; what becomes a path is checked all the same.
  [[nodiscard]] std::filesystem::path path_of(const std::string& name) const {
    detail::require_machine_name(name.c_str());
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

}  // namespace sdk
}  // namespace cloud

#endif
