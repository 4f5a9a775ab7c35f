// SPDX-License-Identifier: Apache-2.0
// Its machines stay in the group of whoever started slurmd.
#include "tests/conformance/zoo/sleeper.hpp"

namespace {

class Wrong : public zoo::Sleeper {
 public:
  using Sleeper::Sleeper;

 protected:
  void place(const cloud_machine_spec&, pid_t pid) override {
    std::ifstream mounts{"/proc/self/mounts"};
    std::string device;
    std::string point;
    std::string type;
    for (std::string rest; mounts >> device >> point >> type && std::getline(mounts, rest);) {
      if (type.rfind("cgroup", 0) == 0) std::ofstream{point + "/cgroup.procs"} << pid;
    }
  }
};

}  // namespace

ZOO_BACKEND(Wrong, "outside_cgroup", 0);
