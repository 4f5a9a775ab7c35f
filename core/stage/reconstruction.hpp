// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/job/record.hpp"
#include "core/stage/session.hpp"

namespace cloud {

/// What a record that cannot be read may have named: a machine has a name that the job's number
/// gives, its control group is below the job's, and its addresses, which this releases, are in the
/// lease files.
[[nodiscard]] JobRecord reconstruct_record(const Session& session);

}  // namespace cloud
