// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/job/record.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// What a record that cannot be read may have named: a machine has a name that the job's number
/// gives, its control group is below the job's, and its addresses, which this releases, are in the
/// lease files.
[[nodiscard]] JobRecord reconstruct_record(const Session& session);

/// Frees what the lease files of this node alone say that the job holds; where nobody knows more.
void free_leases(const SiteConfig& config, std::uint64_t job_id);

}  // namespace cloud
