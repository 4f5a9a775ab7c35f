// SPDX-License-Identifier: Apache-2.0
//
// The configuration with which a job's machine was made, kept beside its record: a job ends also
// where somebody has broken, removed or moved the site's files meanwhile.
#pragma once

#include "core/config/site_config.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// The site's configuration for a hook, or a tool that looks at a node's jobs. Where it has
/// mistakes and does not say so itself, the folders are those of the last good one: jobs that run
/// there have not moved.
[[nodiscard]] LoadedConfig load_node_config(const std::string& file, const std::string& node);

/// The first mistake to the log, where there is one.
void log_mistakes(const LoadedConfig& loaded);

/// Keeps `loaded`'s files for the job. What cannot be kept is logged: the job may go on without.
void keep_job_configuration(const LoadedConfig& loaded, const Session& session);

/// What the job shall be ended with: `loaded`, or where that has mistakes, or knows nothing of the
/// job, what was kept for it.
[[nodiscard]] LoadedConfig configuration_to_end(const LoadedConfig& loaded, const JobContext& job);

/// After the record.
void forget_job_configuration(const SiteConfig& config, const JobContext& job);

}  // namespace cloud
