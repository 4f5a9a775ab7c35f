// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace cloud::spank {

/// What srun, sbatch and salloc need to know of the site's configuration.
struct SiteSummary {
  std::vector<std::string> types;  ///< the enabled backends, sorted
  std::string default_type;
  std::string problem;  ///< why the file could not be read, or ""
};

/// Reads [cloud] and [backend.*] leniently: a mistake elsewhere in the file is for `cloudctl check`
/// and the prolog to tell, and a missing file must not keep a job without --cloud* from running.
[[nodiscard]] SiteSummary read_site_summary(const std::string& file);

}  // namespace cloud::spank
