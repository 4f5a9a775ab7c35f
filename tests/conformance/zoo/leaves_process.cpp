// SPDX-License-Identifier: Apache-2.0
// start(), when killed, leaves a process that nobody knows of.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    const Helper helper;
    Sleeper::start(spec, deadline);
    ::usleep(60000);
  }

 private:
  struct Helper {
    Helper() : pid{::fork()} {
      if (pid != 0) return;
      // Out of the keeper's group, as what a daemon of somebody else's starts is.
      leave_cgroup();
      ::setsid();
      ::execl("/bin/sleep", "sleep", "500", nullptr);
      ::_exit(127);
    }
    ~Helper() {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    pid_t pid;
  };

  static void leave_cgroup() {
    std::ifstream mounts{"/proc/self/mounts"};
    std::string device;
    std::string point;
    std::string type;
    for (std::string rest; mounts >> device >> point >> type && std::getline(mounts, rest);) {
      if (type.rfind("cgroup", 0) == 0) std::ofstream{point + "/cgroup.procs"} << ::getpid();
    }
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaves_process", 0);
