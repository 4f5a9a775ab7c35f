// SPDX-License-Identifier: Apache-2.0
#include "core/machine/machine_keys.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/machine/ssh_command.hpp"
#include "core/machine/ssh_identity.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/subprocess.hpp"
#include "core/system/tree_removal.hpp"

namespace cloud {
namespace {

struct KeyPair {
  std::string secret, open;
};

Result<KeyPair> make_key(const std::string& file) {
  const auto outcome = run({.argv = {"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C",
                                     "spank-cloud", "-f", file}});
  if (!outcome) return outcome.error();
  if (outcome->kind != Outcome::Kind::exited || outcome->code != 0) {
    return Error{Blame::node, "ssh-keygen could not make " + file + " (is the disk full?)"};
  }
  auto secret = read_file(file, 1 << 16);
  if (!secret) return std::move(secret).error();
  auto open = read_file(file + ".pub", 1 << 16);
  if (!open) return std::move(open).error();
  return KeyPair{*std::move(secret), *std::move(open)};
}

// "ssh-ed25519 AAAA... comment" without the comment.
std::string type_and_key(const std::string& line) {
  return line.substr(0, line.find(' ', line.find(' ') + 1));
}

// OpenSSH makes its socket itself, with the user's uid: by its group, it alone can do so here, and
// nobody once it has: see close_socket_folder(). The user goes through the folder to the socket and
// can put nothing into what root removes later. With the machine's disk, not below run_dir.
Result<void> make_socket_folder(const std::string& dir, const MachineSpec& spec) {
  constexpr mode_t kWritesAndPasses = 0731;
  const auto folder = spec.work_dir + "/ssh";
  if (auto made = make_directories(folder, 0700); !made) return made;
  if (::chown(folder.c_str(), 0, SshIdentity::group(spec.subid_first)) != 0 ||
      ::chmod(folder.c_str(), kWritesAndPasses) != 0) {
    return os_error(Blame::node, "change the owner of " + folder, errno);
  }
  const auto link = ssh_socket_folder(dir);
  if (::unlink(link.c_str()) != 0 && errno != ENOENT) {
    return os_error(Blame::node, "remove " + link, errno);
  }
  if (::symlink(folder.c_str(), link.c_str()) != 0) {
    return os_error(Blame::node, "make " + link, errno);
  }
  return {};
}

Result<void> publish(const std::string& dir, const std::string& machine, const MachineUser& user,
                     const KeyPair& login, const KeyPair& host) {
  if (auto made = make_directories(dir + "/ssh", 0755); !made) return made;
  if (auto written = write_file(ssh_key_file(dir), login.secret,
                                {.mode = 0400, .owner = {}, .durable = false, .reader = user.uid});
      !written) {
    return written;
  }
  return write_file(ssh_known_hosts_file(dir), machine + " " + type_and_key(host.open) + "\n",
                    {.mode = 0444, .owner = {}, .durable = false});
}

}  // namespace

Result<void> close_socket_folder(const std::string& dir) {
  constexpr mode_t kPasses = 0711;
  const auto folder = ssh_socket_folder(dir);
  if (::chmod(folder.c_str(), kPasses) == 0) return {};
  return os_error(Blame::node, "change the mode of " + folder, errno);
}

Result<MachineKeys> make_machine_keys(const std::string& scratch, const std::string& dir,
                                      const MachineSpec& spec) {
  const auto folder = scratch + "/keys";
  // ssh-keygen asks before it overwrites.
  if (auto removed = remove_tree(folder); !removed) return std::move(removed).error();
  if (auto made = make_directories(folder, 0700); !made) return std::move(made).error();
  const auto login = make_key(folder + "/login");
  if (!login) return login.error();
  const auto host = make_key(folder + "/host");
  if (!host) return host.error();
  if (auto removed = remove_tree(folder); !removed) return std::move(removed).error();
  if (auto published = publish(dir, spec.name, spec.user, *login, *host); !published) {
    return std::move(published).error();
  }
  if (auto made = make_socket_folder(dir, spec); !made) {
    return std::move(made).error();
  }
  return MachineKeys{login->open, host->secret, host->open};
}

}  // namespace cloud
