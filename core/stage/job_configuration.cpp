// SPDX-License-Identifier: Apache-2.0
#include "core/stage/job_configuration.hpp"

#include "core/job/job_locator.hpp"
#include "core/log.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

// As the site's are beside each other, for load_site_config().
constexpr const char* kMain = "/configuration/cloud.toml";
constexpr const char* kParts = "/configuration/conf.d";

// Where "<state_dir>/<node>/jobs/<job>" is.
std::string state_dir_of(const std::string& job_path, const std::string& node) {
  const auto tail = job_path.rfind("/" + node + "/jobs/");
  return tail == std::string::npos ? std::string{} : job_path.substr(0, tail);
}

Result<void> keep(const LoadedConfig& loaded, const std::string& job_path) {
  const AtomicWrite how{.mode = 0600, .owner = {}, .durable = false};
  for (const auto& source : loaded.sources) {
    const bool is_main = &source == &loaded.sources.front();
    const auto folder = job_path + (is_main ? "/configuration" : kParts);
    if (auto made = make_directories(folder, 0700); !made) return made;
    const auto path =
        is_main ? job_path + kMain : folder + source.file.substr(source.file.rfind('/'));
    if (auto written = write_file(path, source.text, how); !written) return written;
  }
  return {};
}

}  // namespace

LoadedConfig load_node_config(const std::string& file, const std::string& node) {
  auto loaded = load_trusted_site_config(file);
  if (loaded.report.empty()) return loaded;
  const auto last = JobLocator{file, node}.last_folders();
  if (!last) return loaded;
  if (loaded.config.state_dir == CLOUD_STATE_DIR) loaded.config.state_dir = last->state_dir;
  if (loaded.config.run_dir == CLOUD_RUN_DIR) loaded.config.run_dir = last->run_dir;
  return loaded;
}

void log_mistakes(const LoadedConfig& loaded) {
  if (loaded.report.empty()) return;
  log_line(LogLevel::error, "the configuration is broken: " + loaded.report.first_line() +
                                "; mend it (`cloudctl check`)");
}

void keep_job_configuration(const LoadedConfig& loaded, const Session& session) {
  const auto& job = session.input.job;
  auto kept = keep(loaded, session.locked.path());
  if (kept) {
    const JobLocator locator{loaded.config.file, job.node};
    kept = locator.remember(job.job_id, session.locked.path());
    locator.remember_folders({loaded.config.state_dir, loaded.config.run_dir});
  }
  if (!kept) {
    log_line(LogLevel::warn, "keep the configuration for the job's end: " + kept.error().message);
  }
}

LoadedConfig configuration_to_end(const LoadedConfig& loaded, const JobContext& job) {
  const RecordStore store{loaded.config.state_dir, job.node};
  const bool knows = store.knows(job.job_id);
  if (knows && loaded.report.empty()) return loaded;
  const auto found = JobLocator{loaded.config.file, job.node}.find(job.job_id);
  const auto job_path = found.value_or(knows ? store.job_path(job.job_id) : std::string{});
  log_mistakes(loaded);
  if (job_path.empty()) return loaded;
  log_line(LogLevel::warn, "ending the job with the configuration that its prolog had");
  auto kept = load_site_config(job_path + kMain);
  if (!kept.report.empty()) {
    log_line(LogLevel::error, "that one is lost: doing with what the broken one says");
    kept = loaded;
  }
  // Never another place than the one where the record was found.
  kept.config.state_dir = state_dir_of(job_path, job.node);
  // Where the job's link is looked for.
  kept.config.file = loaded.config.file;
  return kept;
}

void forget_job_configuration(const SiteConfig& config, const JobContext& job) {
  JobLocator{config.file, job.node}.forget(job.job_id);
}

}  // namespace cloud
