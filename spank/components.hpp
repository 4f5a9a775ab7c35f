// SPDX-License-Identifier: Apache-2.0
//
// The components of a heterogeneous job (`srun A : B`). Each has options, a job id, a prolog and
// nodes of its own, but Slurm hands one set of plugin options, the last, to the tasks of all: the
// client tells them which components have asked for a machine.
#pragma once

extern "C" {
#include <slurm/spank.h>
}

#include <cstdint>
#include <vector>

namespace cloud::spank {

using Components = std::vector<bool>;  ///< whether each asks for a machine, in order

/// In a client, after the options of each component: what it sets reaches the tasks.
void tell_components(const Components& components);

/// On a node: whether the options of the step that Slurm shows may be those of another component.
[[nodiscard]] bool is_heterogeneous(spank_t spank);

/// On a node: whether this job is a component that has asked for no machine while another has. The
/// user can claim it falsely, and gets what --cloud-run=host gives.
[[nodiscard]] bool is_component_without_machine(spank_t spank, std::uint32_t job_id);

}  // namespace cloud::spank
