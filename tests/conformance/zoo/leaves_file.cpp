// SPDX-License-Identifier: Apache-2.0
// The call ZOO_CALL, when killed, leaves a file that nobody knows of. Built once for each call.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Scratch {
 public:
  Scratch(std::string_view call, const std::string& machine) {
    if (call != ZOO_CALL) return;
    // Not one that a second call would clean up by chance.
    path_ = "/run/" + machine + "." + std::to_string(::getpid()) + ".scratch";
    std::ofstream{path_} << "half\n";
    ::usleep(60000);
  }
  ~Scratch() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  std::string path_;
};

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;
  void prepare(const cloud_machine_spec& spec) {
    const Scratch scratch{"prepare", spec.name};
    Sleeper::prepare(spec);
  }
  void start(const cloud_machine_spec& spec, zoo::Deadline deadline) {
    const Scratch scratch{"start", spec.name};
    Sleeper::start(spec, deadline);
  }
  int console(const cloud_machine_ref& ref) {
    const Scratch scratch{"console", ref.name};
    return ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  }
  void wait_ready(const cloud_machine_ref& ref, zoo::Deadline deadline,
                  const zoo::Progress& progress) {
    const Scratch scratch{"wait_ready", ref.name};
    Sleeper::wait_ready(ref, deadline, progress);
  }
  void stop(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    const Scratch scratch{"stop", ref.name};
    Sleeper::stop(ref, deadline);
  }
  void destroy(const cloud_machine_ref& ref, zoo::Deadline deadline) {
    const Scratch scratch{"destroy", ref.name};
    Sleeper::destroy(ref, deadline);
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "leaves_file_in_" ZOO_CALL, 0);
