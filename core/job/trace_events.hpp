// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/job/record.hpp"

namespace cloud {

/// The stages of a job in the Trace Event Format, which ui.perfetto.dev and chrome://tracing open:
/// one track for each list, a slice for each stage, an open slice for one that has not ended. Pure.
[[nodiscard]] std::string to_trace_events(const JobRecord& record);

}  // namespace cloud
