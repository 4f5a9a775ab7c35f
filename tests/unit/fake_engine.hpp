// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <string>

namespace cloud::sdk {

/// What Host::place() does is the engine's: here it notes, and puts into one hierarchy.
class FakeEngine {
 public:
  FakeEngine() {
    host_.struct_size = sizeof host_;
    host_.context = this;
    host_.cancelled = [](void* self) { return static_cast<FakeEngine*>(self)->cancelled ? 1 : 0; };
    host_.place = [](void* self, const char* cgroup, std::int64_t pid, cloud_error* error) {
      return static_cast<FakeEngine*>(self)->place(cgroup, pid, error);
    };
  }
  [[nodiscard]] Host host() const { return Host{&host_}; }

  bool cancelled = false;
  bool refuses = false;
  std::string folder;          ///< of the group to put the process into, "" for none
  std::string placed;          ///< the name that place() was given
  std::string program_before;  ///< what the process was when it was placed

 private:
  std::int32_t place(const char* cgroup, std::int64_t pid, cloud_error* error) {
    placed = cgroup;
    program_before =
        std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe").string();
    if (!folder.empty()) std::ofstream{folder + "/cgroup.procs"} << pid;
    if (!refuses) return CLOUD_OK;
    error->code = CLOUD_E_NODE;
    std::strcpy(error->message, "no such group");
    return CLOUD_E_NODE;
  }

  cloud_host host_{};
};

[[nodiscard]] inline Deadline soon() {
  return Deadline{Deadline::now() + 5'000'000'000};
}

}  // namespace cloud::sdk
