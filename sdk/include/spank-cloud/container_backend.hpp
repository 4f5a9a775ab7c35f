// SPDX-License-Identifier: Apache-2.0
//
// Backends whose engine is a program and whose machine is what runs in a control group: all that is
// the same for them, whichever program it is.
//
//   class Mine : public cloud::sdk::ContainerBackend {
//    public:
//     Mine(Host host, Settings) : ContainerBackend{host, "/run/spank-cloud-mine"} {}
//     void probe() { require_program("/usr/bin/mine"); }
//     void prepare(const cloud_machine_spec& spec) { probe(); remember(spec); }
//     void start(const cloud_machine_spec& spec, Deadline deadline) {
//       require_stopped(spec);
//       const UserNamespace machine{spec};
//       run(spec, {"/usr/bin/mine", ...}, machine, {}, deadline);
//     }
//   };
//
// A class that declares one of the other calls itself has its own in place of the one here.
#ifndef SPANK_CLOUD_CONTAINER_BACKEND_HPP
#define SPANK_CLOUD_CONTAINER_BACKEND_HPP

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/process.hpp>
#include <spank-cloud/program.hpp>
#include <spank-cloud/registry.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <string>
#include <utility>
#include <vector>

namespace cloud {
namespace sdk {

/// For probe(). Throws CLOUD_E_NODE.
inline void require_program(const std::string& path) {
  std::error_code problem;
  if (std::filesystem::is_regular_file(path, problem) && ::access(path.c_str(), X_OK) == 0) return;
  throw Failure{CLOUD_E_NODE, path + " is no program that can be run: install it on this node"};
}

/// For prepare(), of an image that is a folder. Throws CLOUD_E_CONFIG, as those below do.
inline void require_root_file_system(const cloud_image& image) {
  if (std::filesystem::exists(std::filesystem::path{image.path} / "usr")) return;
  throw Failure{CLOUD_E_CONFIG, std::string{image.path} + " holds no root file system"};
}

/// For prepare(), where the machine runs tasks and nothing else.
inline void require_no_init(const cloud_image& image) {
  const std::string init = image.init;
  if (init == "auto" || init == "none") return;
  throw Failure{CLOUD_E_CONFIG, "its machines run no init: take 'init' out of [image." +
                                    std::string{image.name} + "]"};
}

/// For prepare(), where the machine has no interface but loopback.
inline void require_no_network(const cloud_machine_spec& spec) {
  if (spec.network == nullptr) return;
  throw Failure{CLOUD_E_CONFIG, "its machines have no network: take 'pool' out of its table"};
}

/// A machine is the processes in a group of its own below spec.cgroup, and a name in the registry
/// from remember() to destroy(). It needs no memory of its own from one call to the next.
class ContainerBackend {
 public:
  void wait_ready(const cloud_machine_ref& ref, Deadline /*unused*/, const Progress& /*unused*/) {
    if (!init_of(group(ref.cgroup))) throw Failure{CLOUD_E_NODE, "the machine has ended"};
  }

  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    out.init_pid = init_of(group(ref.cgroup)).pid;
    const auto idle = registry_.has(ref.name) ? CLOUD_PREPARED : CLOUD_ABSENT;
    out.state = out.init_pid != 0 ? CLOUD_RUNNING : idle;
  }

  /// By force: nobody in the machine listens.
  void stop(const cloud_machine_ref& ref, Deadline deadline) {
    kill_processes(group(ref.cgroup), deadline, host_);
  }

  void destroy(const cloud_machine_ref& ref, Deadline deadline) {
    kill_processes(group(ref.cgroup), deadline, host_);
    registry_.remove(ref.name);
  }

  void list(const std::function<void(const std::string&)>& visit) { registry_.visit(visit); }

 protected:
  /// `registry`: see Registry.
  ContainerBackend(Host host, std::string registry) : host_{host}, registry_{std::move(registry)} {}
  ~ContainerBackend() = default;

  [[nodiscard]] const Host& host() const noexcept { return host_; }

  /// In prepare(), before what it makes outside of the machine's folder.
  void remember(const cloud_machine_spec& spec) const { registry_.add(spec.name); }

  /// First in start(). Throws CLOUD_E_NODE.
  static void require_stopped(const cloud_machine_spec& spec) {
    if (processes_of(group(spec.cgroup)).empty()) return;
    throw Failure{CLOUD_E_NODE, "machine '" + std::string{spec.name} + "' runs already"};
  }

  /// In start(): runs the engine's program as root of the machine, in its user namespace and group,
  /// and returns when it has made the machine's other namespaces. To `command` is added what must
  /// run in there: a shell that says so and then sleeps. `kept`: descriptors that the program
  /// inherits. Nobody reads what it prints later. Nobody on the node, it makes no groups of its
  /// own, so that its processes stay in the one.
  void run(const cloud_machine_spec& spec, std::vector<std::string> command,
           const UserNamespace& machine, std::vector<int> kept, Deadline deadline) const {
    const auto program = command.front();
    command.insert(command.end(),
                   {"/bin/sh", "-c", "echo up && exec sleep 2147483647 >/dev/null 2>&1"});
    const auto started = start_program({std::move(command), group(spec.cgroup),
                                        ProgramIdentity::root_of(machine.fd()), std::move(kept)},
                                       host_);
    // An engine may have a warning to say before; its last word is the reason where it fails.
    std::string said;
    for (;;) {
      auto line = read_line(started.output, deadline, host_, "start " + program);
      if (line == "up") return;
      if (line.empty()) break;
      host_.log(CLOUD_DEBUG, program + ": " + line);
      said = std::move(line);
    }
    throw Failure{CLOUD_E_NODE, program + " did not start the machine" +
                                    (said.empty() ? ", without a word" : ": " + said)};
  }

 private:
  // The keeper is in another group below the job's.
  [[nodiscard]] static std::string group(const std::string& cgroup) {
    return cgroup.empty() ? "" : cgroup + "/machine";
  }

  Host host_;
  Registry registry_;
};

}  // namespace sdk
}  // namespace cloud

#endif
