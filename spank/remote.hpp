// SPDX-License-Identifier: Apache-2.0
//
// What the plugin does with jobs and tasks: on the compute node, inside slurmstepd, and in srun.
#pragma once

extern "C" {
#include <slurm/spank.h>
}

#include <string>

#include "spank/options.hpp"

namespace cloud::spank {

constexpr int kNotStarted = 125;  ///< exit status of a task that was not started

struct Installation {
  std::string config;   ///< cloud.toml, for srun and the keeper
  std::string run_dir;  ///< of the published states; cloud.run_dir shall say the same
  std::string libexec;  ///< the folder of keeper, enter and escort
};

/// In srun: puts `enter` in the place of the step's program, which goes to SLURM_CLOUD_COMMAND.
void wrap_task(spank_t spank, const Installation& installation);

/// Starts the keeper of a job that has a machine, from the extern step, where the job's cgroup
/// exists and Slurm says how much of the node is the job's.
void start_keeper(spank_t spank, const Installation& installation);

/// Starts, as root and in the task's own process, the program that will take a task into the job's
/// machine (`escort`). Nothing for a task that runs outside.
void start_escort(spank_t spank, const Installation& installation, const Options& step_options);

/// Decides, as the user and in the task's own process, whether the task runs inside the job's
/// machine. A task that shall run inside gets `enter` as its program; one that shall not run ends
/// here with the reason on the user's terminal. Never returns for a task that may not run.
void place_task(spank_t spank, const Installation& installation, const Options& step_options);

}  // namespace cloud::spank
