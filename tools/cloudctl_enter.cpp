// SPDX-License-Identifier: Apache-2.0
#include <pwd.h>
#include <unistd.h>

#include <cerrno>

#include "tools/cloudctl.hpp"

namespace cloud {

int enter_machine(const NodeView& view, std::uint64_t job_id,
                  const std::vector<std::string>& command) {
  const auto job = open_job_folder(view, job_id);
  if (!job) return refuse(job.error());
  const auto name = "the machine of job " + std::to_string(job_id);
  if (job->state.phase != MachinePhase::ready) {
    return refuse({Blame::user, name + " cannot be entered: it is " + describe_phase(job->state)});
  }
  if (::geteuid() != job->state.uid) {
    // Root may read the state; what runs in there is in its user's hands, and would have root's
    // terminal.
    const auto* user = ::getpwuid(job->state.uid);
    const auto who = user != nullptr ? std::string{user->pw_name} : std::to_string(job->state.uid);
    return refuse({Blame::user, name + " is entered by its user alone: runuser -u " + who +
                                    " -- cloudctl enter " + std::to_string(job_id)});
  }
  const auto program = job->dir + "/access";
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return refuse(os_error(Blame::node, "run " + program, errno));
}

}  // namespace cloud
