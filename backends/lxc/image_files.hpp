// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

namespace cloud::lxc {

/// Writes what the machine shall know of its user and its place into its root: entries for the user
/// and the groups in /etc/passwd and /etc/group, /etc/hostname, /etc/hosts and /etc/resolv.conf.
/// The image itself is not touched. Throws sdk::Failure.
void write_image_files(int root, const cloud_machine_spec& spec);

/// Whether the machine's init is systemd: /sbin/init leads to a program of that name.
[[nodiscard]] bool has_systemd(int root);

}  // namespace cloud::lxc
