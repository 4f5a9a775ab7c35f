// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/image_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <climits>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>

#include "backends/lxc/rootfs.hpp"

namespace cloud::lxc {
namespace {

using sdk::system_failure;

constexpr std::size_t kFileLimit = 4 << 20;

std::string read_in_root(int root, const std::string& path) {
  const Descriptor file{open_in_root(root, path, O_RDONLY | O_NONBLOCK)};
  struct stat status {};
  if (!file || ::fstat(file.value(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto count = ::read(file.value(), buffer.data(), buffer.size());
    if (count <= 0 || text.size() > kFileLimit) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

// Replaced, not changed in place: a file of the image may be a link to what does not exist yet,
// such as systemd's /etc/resolv.conf.
void write_in_root(int root, const std::string& folder, const std::string& name,
                   const std::string& text, std::uint32_t owner) {
  const auto path = folder + "/" + name;
  const auto fail = [&] {
    return system_failure(CLOUD_E_NODE, "write " + path + " of the machine", errno);
  };
  const auto parent = make_in_root(root, folder, true, owner);
  if (::unlinkat(parent.value(), name.c_str(), 0) != 0 && errno != ENOENT) throw fail();
  const Descriptor file{::openat(parent.value(), name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)};
  if (!file || ::fchown(file.value(), owner, owner) != 0 || ::fchmod(file.value(), 0644) != 0) {
    throw fail();
  }
  if (::write(file.value(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw fail();
  }
}

// A name from the site's directory ends up in colon-separated files.
std::string field(const char* text, const std::string& fallback) {
  std::string value{text};
  if (value.empty() || value.find_first_of(":\n\r") != std::string::npos) return fallback;
  return value;
}

bool has_program(int root, const std::string& path) {
  struct stat status {};
  const Descriptor file{open_in_root(root, path, O_PATH)};
  return file && ::fstat(file.value(), &status) == 0 && S_ISREG(status.st_mode) &&
         (status.st_mode & 0111) != 0;
}

// The third field of a passwd or group line.
std::string id_of(const std::string& line) {
  const auto second = line.find(':', line.find(':') + 1);
  if (second == std::string::npos) return {};
  return line.substr(second + 1, line.find(':', second + 1) - second - 1);
}

// The text with our lines in front and without its own lines of the same ids.
std::string merged(const std::string& text, const std::string& ours,
                   const std::vector<std::string>& ids) {
  auto result = ours;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = text.substr(begin, end - begin);
    if (std::find(ids.begin(), ids.end(), id_of(line)) == ids.end()) result += line + "\n";
    begin = end + 1;
  }
  return result;
}

void write_user(int root, const cloud_machine_spec& spec) {
  const auto& user = *spec.user;
  const auto uid = std::to_string(user.uid);
  const auto name = field(user.name, "user" + uid);
  const auto shell =
      has_program(root, user.shell) ? std::string{user.shell} : std::string{"/bin/sh"};
  const auto entry = name + ":x:" + uid + ":" + std::to_string(user.gid) +
                     "::" + field(user.home, "/") + ":" + shell + "\n";
  const auto passwd = read_in_root(root, "/etc/passwd");
  const auto root_entry = passwd.empty() ? std::string{"root:x:0:0:root:/root:/bin/sh\n"} : "";
  write_in_root(root, "/etc", "passwd", merged(passwd, root_entry + entry, {uid}),
                spec.subid_first);

  std::string groups;
  std::vector<std::string> gids;
  for (std::size_t i = 0; i <= user.group_count; ++i) {
    const auto gid = std::to_string(i == user.group_count ? user.gid : user.groups[i]);
    if (gid == "0" || std::find(gids.begin(), gids.end(), gid) != gids.end()) continue;
    gids.push_back(gid);
    groups += field(user.group_names[i], "group" + gid) + ":x:" + gid + ":" + name + "\n";
  }
  const auto group = read_in_root(root, "/etc/group");
  const auto root_group = group.empty() ? std::string{"root:x:0:\n"} : "";
  write_in_root(root, "/etc", "group", merged(group, root_group + groups, gids), spec.subid_first);
}

}  // namespace

void write_image_files(int root, const cloud_machine_spec& spec) {
  write_user(root, spec);
  const std::string hostname = spec.hostname;
  write_in_root(root, "/etc", "hostname", hostname + "\n", spec.subid_first);
  std::string hosts = "127.0.0.1 localhost\n::1 localhost\n";
  hosts +=
      (spec.network == nullptr ? "127.0.1.1" : spec.network->address) + (" " + hostname) + "\n";
  write_in_root(root, "/etc", "hosts", hosts, spec.subid_first);
  if (spec.network == nullptr || spec.network->dns_count == 0) return;
  std::string resolver;
  for (std::size_t i = 0; i < spec.network->dns_count; ++i) {
    resolver += std::string{"nameserver "} + spec.network->dns[i] + "\n";
  }
  write_in_root(root, "/etc", "resolv.conf", resolver, spec.subid_first);
}

bool has_systemd(int root) {
  const Descriptor init{open_in_root(root, "/sbin/init", O_PATH)};
  if (!init) return false;
  std::array<char, PATH_MAX> target{};
  const auto link = "/proc/self/fd/" + std::to_string(init.value());
  const auto size = ::readlink(link.c_str(), target.data(), target.size());
  if (size <= 0) return false;
  const std::string_view path{target.data(), static_cast<std::size_t>(size)};
  return path.substr(path.rfind('/') + 1) == "systemd";
}

}  // namespace cloud::lxc
