// SPDX-License-Identifier: Apache-2.0
// The call ZOO_CALL, when killed, leaves a process that it had to help it. Built once for each
// call.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Helper {
 public:
  Helper() : pid_{::fork()} {
    if (pid_ != 0) return;
    // Out of reach of who kills the caller's process group.
    ::setsid();
    ::execl("/bin/sleep", "sleep", "600", nullptr);
    ::_exit(127);
  }
  ~Helper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

 private:
  pid_t pid_;
};

class Wrong : public zoo::Sleeper {
 public:
  Wrong(zoo::Host host, zoo::Settings settings) : Sleeper{host, settings} { with_help("open"); }
  ~Wrong() override { with_help("close"); }
  void probe() { with_help("probe"); }
  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    with_help("info");
    Sleeper::info(ref, out);
  }
  void list(const std::function<void(const std::string&)>& visit) {
    with_help("list");
    Sleeper::list(visit);
  }

 private:
  static void with_help(std::string_view call) {
    if (call != ZOO_CALL) return;
    const Helper helper;
    ::usleep(30000);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaves_helper_in_" ZOO_CALL, 0);
