// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/error.hpp"
#include "core/job/published_state.hpp"
#include "core/machine/spec.hpp"

namespace cloud {

/// Makes the keys of one machine with ssh-keygen(1), in `scratch` (root's alone, emptied of them
/// again), and puts what `enter` needs below `dir`, the folder of the published state: the private
/// key for the user alone, the host key for nobody to change, and a link to the folder of the
/// connection's socket, which is in the machine's work_dir.
[[nodiscard]] Result<MachineKeys> make_machine_keys(const std::string& scratch,
                                                    const std::string& dir,
                                                    const MachineSpec& spec);

/// Nobody but root makes a file in the folder of the connection's socket any more, whose socket is
/// there by now: the ssh that holds the connection would make more of them for its user, and has
/// the group of machines' QEMUs.
[[nodiscard]] Result<void> close_socket_folder(const std::string& dir);

}  // namespace cloud
