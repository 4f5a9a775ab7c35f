// SPDX-License-Identifier: Apache-2.0
//
// What `cloudctl doctor` looks at that is neither Slurm's nor a program of ours. Nothing is
// changed.
#pragma once

#include "core/config/site_config.hpp"
#include "tools/findings.hpp"

namespace cloud {

/// state_dir and run_dir: writable, on a local file system; run_dir with access lists.
void check_folders(const SiteConfig& config, Findings& findings);
/// Each pool's bridge and lease file.
void check_pools(const SiteConfig& config, Findings& findings);
/// Each image: there, and root's alone.
void check_images(const SiteConfig& config, Findings& findings);
/// Each program of the site's stages: there, and root's alone.
void check_stages(const SiteConfig& config, Findings& findings);
/// No account or group that the node can list has an id that machines get.
void check_subids(const SiteConfig& config, Findings& findings);
/// Which cgroup version, with the controllers that a machine is held by.
void check_cgroups(Findings& findings);

}  // namespace cloud
