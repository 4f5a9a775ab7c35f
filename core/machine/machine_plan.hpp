// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/job/record.hpp"
#include "core/machine/spec.hpp"

namespace cloud {

/// Completes a request from the site's defaults and checks it against the site's backends and
/// images. Blame::user, with the values that are possible.
[[nodiscard]] Result<Request> resolve_request(const SiteConfig& config, Request request);

/// "sc-<node>-<job>": at most 63 bytes of [a-z0-9-], the same for every run of a job.
[[nodiscard]] std::string machine_name(std::string_view node, std::uint64_t job_id);

/// A DNS label for the machine: "<node>-<job>".
[[nodiscard]] std::string machine_hostname(std::string_view node, std::uint64_t job_id);

/// What the record and the configuration say of a machine; sizes, cgroup, mounts and keys are the
/// keeper's to add. Blame::site where the backend has no use for the image.
[[nodiscard]] Result<MachineSpec> plan_machine(const SiteConfig& config, const JobRecord& record);

[[nodiscard]] MachineRef machine_ref(const MachineRecord& record);

}  // namespace cloud
