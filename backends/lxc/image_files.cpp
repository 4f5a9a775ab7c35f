// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/image_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <climits>
#include <spank-cloud/account_files.hpp>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/image_file.hpp>
#include <string>

#include "backends/lxc/rootfs.hpp"

namespace cloud::lxc {
namespace {

using sdk::open_in_root;
using sdk::read_in_root;
using sdk::system_failure;

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

bool has_program(int root, const std::string& path) {
  struct stat status {};
  const Descriptor file{open_in_root(root, path, O_PATH)};
  return file && ::fstat(file.value(), &status) == 0 && S_ISREG(status.st_mode) &&
         (status.st_mode & 0111) != 0;
}

void write_user(int root, const cloud_machine_spec& spec) {
  const auto& user = *spec.user;
  const auto shell =
      has_program(root, user.shell) ? std::string{user.shell} : std::string{"/bin/sh"};
  write_in_root(root, "/etc", "passwd",
                sdk::passwd_text(user, read_in_root(root, "/etc/passwd"), shell), spec.subid_first);
  write_in_root(root, "/etc", "group", sdk::group_text(user, read_in_root(root, "/etc/group")),
                spec.subid_first);
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
