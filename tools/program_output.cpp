// SPDX-License-Identifier: Apache-2.0
#include "tools/program_output.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "core/system/atomic_file.hpp"
#include "core/system/subprocess.hpp"

namespace cloud {
namespace {

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
  return all;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

/// A folder of our own, for the file that the output goes to.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::array<char, 32> name{"/tmp/cloudctl-XXXXXX"};
    if (::mkdtemp(name.data()) != nullptr) path_ = name.data();
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace

Result<std::string> output_of(const std::vector<std::string>& argv,
                              std::chrono::milliseconds limit) {
  const ScratchFolder folder;
  if (folder.path().empty()) return os_error(Blame::node, "make a folder in /tmp", errno);
  const auto file = folder.path() + "/output";
  const auto outcome =
      run({.argv = argv, .environment = own_environment(), .output_file = file, .timeout = limit});
  if (!outcome) return outcome.error();
  auto text = read_file(file);
  if (!text) return text;
  if (outcome->kind == Outcome::Kind::timed_out) {
    return Error{Blame::node, argv.front() + " did not answer in " +
                                  std::to_string(limit.count() / 1000) + " s"};
  }
  if (outcome->kind != Outcome::Kind::exited || outcome->code != 0) {
    return Error{Blame::node, argv.front() + " failed: " + last_line(*std::move(text))};
  }
  return text;
}

std::string find_program(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string_view path = variable == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : variable;
  while (!path.empty()) {
    const auto colon = std::min(path.find(':'), path.size());
    auto candidate = std::string{path.substr(0, colon)} + "/" + name;
    if (candidate.front() == '/' && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return {};
}

}  // namespace cloud
