// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/config/site_config.hpp"
#include "core/job/record_store.hpp"
#include "tools/cloudctl.hpp"
#include "tools/file_printer.hpp"

namespace cloud {
namespace {

// What is not there yet is no failure: a job without site programs has no log of them.
Result<void> print_if_there(const std::string& path, Printing how) {
  auto printed = print_file(path, how);
  if (!printed && printed.error().os_errno == ENOENT) return {};
  return printed;
}

}  // namespace

int show_logs(const NodeView& view, std::uint64_t job_id) {
  const auto job = open_job_folder(view, job_id);
  std::vector<std::string> files;
  if (job) files.push_back(job->dir + "/log");
  if (::geteuid() == 0) {
    const RecordStore store{config_of_node(view).state_dir, view.node};
    for (const auto* name : {"/keeper.log", "/programs.log"}) {
      if (store.knows(job_id)) files.push_back(store.job_path(job_id) + name);
    }
  }
  if (files.empty()) return refuse(job.error());
  for (const auto& file : files) {
    const Printing how{.headline = files.size() > 1, .harmless = true};
    if (auto printed = print_if_there(file, how); !printed) return refuse(printed.error());
  }
  return 0;
}

}  // namespace cloud
