// SPDX-License-Identifier: Apache-2.0
#include "enter/task_request.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cloud {

GuestRequest request_of(const TaskOrder& task) {
  GuestRequest request;
  request.working_directory = task.directory;
  request.umask = ::umask(0);
  ::umask(request.umask);
  for (int resource = 0; resource < RLIMIT_NLIMITS; ++resource) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) continue;
    request.limits.push_back(
        {resource, limit.rlim_cur == RLIM_INFINITY ? kGuestUnlimited : limit.rlim_cur});
  }
  for (char** variable = environ; *variable != nullptr; ++variable) {
    request.environment.emplace_back(*variable);
  }
  request.command = task.command;
  return request;
}

}  // namespace cloud
