// SPDX-License-Identifier: Apache-2.0
//
// The job's user in the machine's /etc/passwd and /etc/group, so that tasks have a name there.
#ifndef SPANK_CLOUD_ACCOUNT_FILES_HPP
#define SPANK_CLOUD_ACCOUNT_FILES_HPP

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/image_file.hpp>
#include <string>
#include <vector>

namespace cloud {
namespace sdk {
namespace detail {

// A name from the site's directory ends up in colon-separated files.
inline std::string account_field(const char* text, const std::string& fallback) {
  std::string value{text};
  if (value.empty() || value.find_first_of(":\n\r") != std::string::npos) return fallback;
  return value;
}

// The third field of a passwd or group line.
inline std::string account_id(const std::string& line) {
  const auto second = line.find(':', line.find(':') + 1);
  if (second == std::string::npos) return {};
  return line.substr(second + 1, line.find(':', second + 1) - second - 1);
}

// The text with our lines in front and without its own lines of the same ids.
inline std::string merged_accounts(const std::string& text, const std::string& ours,
                                   const std::vector<std::string>& ids) {
  auto result = ours;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = text.substr(begin, end - begin);
    if (std::find(ids.begin(), ids.end(), account_id(line)) == ids.end()) result += line + "\n";
    begin = end + 1;
  }
  return result;
}

inline std::string account_name(const cloud_user& user) {
  return account_field(user.name, "user" + std::to_string(user.uid));
}

}  // namespace detail

/// The machine's /etc/passwd: the image's, "" where it has none, with a line for the job's user in
/// the place of one with that uid. `shell` is a program of the image.
[[nodiscard]] inline std::string passwd_text(const cloud_user& user, const std::string& of_image,
                                             const std::string& shell) {
  const auto uid = std::to_string(user.uid);
  const auto root = of_image.empty() ? "root:x:0:0:root:/root:/bin/sh\n" : "";
  const auto entry = detail::account_name(user) + ":x:" + uid + ":" + std::to_string(user.gid) +
                     "::" + detail::account_field(user.home, "/") + ":" + shell + "\n";
  return detail::merged_accounts(of_image, root + entry, {uid});
}

/// The machine's /etc/group, likewise, with all the user's groups but root's.
[[nodiscard]] inline std::string group_text(const cloud_user& user, const std::string& of_image) {
  std::string groups = of_image.empty() ? "root:x:0:\n" : "";
  std::vector<std::string> gids;
  for (std::size_t i = 0; i <= user.group_count; ++i) {
    const auto gid = std::to_string(i == user.group_count ? user.gid : user.groups[i]);
    if (gid == "0" || std::find(gids.begin(), gids.end(), gid) != gids.end()) continue;
    gids.push_back(gid);
    groups += detail::account_field(user.group_names[i], "group" + gid) + ":x:" + gid + ":" +
              detail::account_name(user) + "\n";
  }
  return detail::merged_accounts(of_image, groups, gids);
}

/// Writes `<folder>/passwd` and `<folder>/group`: those of the image with the job's user in them.
/// `folder` is root's alone; links of the image stay inside it. Throws Failure.
inline void write_account_files(const cloud_user& user, const std::string& image,
                                const std::string& folder) {
  const Descriptor root{
      uninterrupted([&] { return ::open(image.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); })};
  if (!root) throw system_failure(CLOUD_E_CONFIG, "open image " + image, errno);
  const auto write = [&](const std::string& path, const std::string& text) {
    std::ofstream file{path, std::ios::trunc};
    file << text << std::flush;
    if (!file) throw system_failure(CLOUD_E_NODE, "write " + path, errno);
  };
  write(folder + "/passwd",
        passwd_text(user, read_in_root(root.value(), "/etc/passwd"), "/bin/sh"));
  write(folder + "/group", group_text(user, read_in_root(root.value(), "/etc/group")));
}

}  // namespace sdk
}  // namespace cloud

#endif
