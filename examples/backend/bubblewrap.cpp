// SPDX-License-Identifier: Apache-2.0
//
// Machines of bubblewrap (apt-get install bubblewrap): the image's programs, read-only, and all
// else in memory, in the machine's user namespace; loopback is their network.
#include <spank-cloud/account_files.hpp>
#include <spank-cloud/container_backend.hpp>
#include <spank-cloud/mount_tree.hpp>
#include <spank-cloud/user_namespace.hpp>

namespace {

namespace fs = std::filesystem;
using namespace cloud::sdk;

constexpr cloud_option kOptions[] = {
    {"program", CLOUD_STRING, 0, "/usr/bin/bwrap", "The bubblewrap program."}};

class Bubblewrap : public ContainerBackend {
 public:
  Bubblewrap(Host host, Settings settings)
      : ContainerBackend{host, "/run/spank-cloud-bubblewrap"},
        program_{settings.string("program", kOptions[0].fallback)} {}

  void probe() { require_program(program_); }

  void prepare(const cloud_machine_spec& spec) {
    probe();
    require_root_file_system(*spec.image);
    require_no_init(*spec.image);
    require_no_network(spec);
    remember(spec);
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    require_stopped(spec);
    const UserNamespace machine{spec};
    const std::string image = spec.image->path, work_dir = spec.work_dir;
    std::vector<std::string> command{program_};
    const auto add = [&](std::initializer_list<std::string> words) {
      command.insert(command.end(), words);
    };
    add({"--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-cgroup", "--unshare-uts"});
    add({"--hostname", spec.hostname, "--chdir", "/"});
    for (const auto* folder : {"/bin", "/etc", "/lib", "/lib64", "/opt", "/sbin", "/usr"}) {
      const bool is_link = fs::is_symlink(image + folder);
      if (is_link) add({"--symlink", fs::read_symlink(image + folder), folder});
      if (!is_link) add({"--ro-bind-try", image + folder, folder});
    }
    add({"--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"});
    add({"--perms", "1777", "--tmpfs", "/tmp"});
    write_account_files(*spec.user, image, work_dir);
    add({"--ro-bind", work_dir + "/passwd", "/etc/passwd"});
    add({"--ro-bind", work_dir + "/group", "/etc/group"});
    for (const auto& mount : place_mounts(spec)) {
      // Else bwrap closes the folders above one that is the user's alone, for the user, too.
      for (auto end = mount.target.find('/', 1); end < mount.target.size();
           end = mount.target.find('/', end + 1)) {
        add({"--perms", "0755", "--dir", mount.target.substr(0, end)});
      }
      add({mount.read_only ? "--ro-bind" : "--bind", mount.path, mount.target});
    }
    run(spec, command, machine, {}, deadline);
  }

 private:
  std::string program_;
};

}  // namespace

CLOUD_BACKEND(Bubblewrap, "bubblewrap", "1.0.0", CLOUD_CAP_NAMESPACES, kOptions);
