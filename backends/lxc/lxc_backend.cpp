// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/user_namespace.hpp>

#include "backends/lxc/bind_mount.hpp"
#include "backends/lxc/bridge.hpp"
#include "backends/lxc/container_config.hpp"
#include "backends/lxc/image.hpp"
#include "backends/lxc/image_files.hpp"
#include "backends/lxc/init_process.hpp"
#include "backends/lxc/legacy_cgroups.hpp"
#include "backends/lxc/node_ptys.hpp"
#include "backends/lxc/rootfs.hpp"
#include "backends/lxc/unified_cgroup.hpp"

namespace cloud::lxc {
namespace {

namespace fs = std::filesystem;
using sdk::bounded_call;
using sdk::Deadline;
using sdk::end_process;
using sdk::Failure;
using sdk::Host;
using sdk::in_seconds;
using sdk::make_id_map;
using sdk::Progress;
using sdk::Settings;
using sdk::system_failure;
using sdk::UserNamespace;

constexpr const char* kInitInMachine = "/.spank-cloud-init";

constexpr cloud_option kOptions[] = {
    {"writable", CLOUD_STRING, 0, "disk",
     "Where a machine's changes go: \"disk\" (its work directory) or \"memory\" (a tmpfs, charged "
     "to the job)."},
    {"writable_size", CLOUD_INT, 0, "1073741824",
     "Bytes that a machine may write where writable is \"memory\"."},
    {"pids_max", CLOUD_INT, 0, "4096",
     "Processes and threads of a machine's own services; 0 for no limit."},
    {"user_pids_max", CLOUD_INT, 0, "16384",
     "Processes and threads of all machines of one user on the node, with the tasks in them; 0 for "
     "no limit."},
    {"log_level", CLOUD_STRING, 0, "warn", "What liblxc writes to lxc.log in the work directory."},
    {"apparmor_profile", CLOUD_STRING, 0, "unconfined",
     "Of a machine's own services on a node with AppArmor, where it shall be loaded."},
    {"init_program", CLOUD_STRING, 0, CLOUD_MACHINE_INIT,
     "The program that is process 1 of an image without an init."},
};

struct Release {
  void operator()(lxc_container* container) const { lxc_container_put(container); }
};
using Container = std::unique_ptr<lxc_container, Release>;

// liblxc's folder of the machine. A part of its name cannot be guessed: it is in the name of the
// socket that liblxc's monitor listens on, which nobody else shall take first.
std::string lxc_path(const std::string& work_dir) {
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{work_dir, problem}) {
    if (entry.path().filename().string().starts_with("lxc-")) return entry.path().string();
  }
  throw Failure{CLOUD_E_NODE, "the machine has no lxc folder in " + work_dir};
}

std::string random_name() {
  std::array<unsigned char, 8> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw system_failure(CLOUD_E_NODE, "getrandom", errno);
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name;
  for (const auto byte : bytes) {
    name += kDigits[byte >> 4];
    name += kDigits[byte & 15];
  }
  return name;
}

Container open_container(const std::string& name, const std::string& work_dir) {
  Container container{lxc_container_new(name.c_str(), lxc_path(work_dir).c_str())};
  if (!container) throw Failure{CLOUD_E_NODE, "liblxc has no memory for container '" + name + "'"};
  return container;
}

// Of liblxc's start(), which takes milliseconds where nothing is wrong.
constexpr std::int64_t kStartSeconds = 20;
constexpr std::int64_t kKillSeconds = 3;

bool same_namespace(const char* a, const char* b) {
  struct stat first {};
  struct stat second {};
  return ::stat(a, &first) == 0 && ::stat(b, &second) == 0 && first.st_ino == second.st_ino;
}

// The last line of liblxc's log that says ERROR, for a message: what failed first is mostly above
// it, but liblxc logs from the inside out.
std::string first_log_error(const std::string& work_dir) {
  std::ifstream log{work_dir + "/lxc.log"};
  for (std::string line; std::getline(log, line);) {
    const auto level = line.find(" ERROR ");
    if (level == std::string::npos) continue;
    const auto dash = line.find(" - ", level);
    const auto text = dash == std::string::npos ? level + 7 : line.find(" - ", dash + 3);
    return text == std::string::npos ? line.substr(level + 7) : line.substr(text + 3);
  }
  return {};
}

std::string last_console_line(const std::string& work_dir) {
  std::ifstream log{work_dir + "/console.log"};
  std::string last;
  for (std::string line; std::getline(log, line);) {
    if (line.find_first_not_of(" \r\t") != std::string::npos) last = line.substr(0, 300);
  }
  return last;
}

std::string because(const std::string& reason) {
  return reason.empty() ? "" : ": " + reason;
}

bool has_apparmor() {
  std::ifstream file{"/sys/module/apparmor/parameters/enabled"};
  return file.get() == 'Y';
}

class LxcBackend {
 public:
  LxcBackend(Host host, Settings settings)
      : host_{host},
        layer_{settings.string("writable", "disk") == "memory",
               std::to_string(settings.integer("writable_size", 1 << 30))},
        pids_max_{settings.integer("pids_max", 4096)},
        user_pids_max_{settings.integer("user_pids_max", 16384)},
        log_level_{settings.string("log_level", "warn")},
        apparmor_profile_{settings.string("apparmor_profile", "unconfined")},
        init_program_{settings.string("init_program", CLOUD_MACHINE_INIT)} {
    const auto writable = settings.string("writable", "disk");
    if (writable != "disk" && writable != "memory") {
      throw settings.wrong("writable", "'writable' shall be \"disk\" or \"memory\"");
    }
    if (settings.integer("writable_size", 1 << 30) < (1 << 20)) {
      throw settings.wrong("writable_size", "'writable_size' shall be at least 1048576 bytes");
    }
    if (pids_max_ < 0) throw settings.wrong("pids_max", "'pids_max' shall not be negative");
    if (user_pids_max_ < 0) {
      throw settings.wrong("user_pids_max", "'user_pids_max' shall not be negative");
    }
  }

  static constexpr const char* image_formats = "directory squashfs";

  void probe() {
    require_kernel_features();
    if (::access(init_program_.c_str(), X_OK) != 0) {
      throw system_failure(CLOUD_E_CONFIG, "'init_program': " + init_program_, errno);
    }
  }

  void prepare(const cloud_machine_spec& spec) {
    require_kernel_features();
    (void)open_image(*spec.image);
    if (spec.network != nullptr) {
      if (!is_bridge(spec.network->bridge)) {
        throw Failure{CLOUD_E_NODE, "bridge '" + std::string{spec.network->bridge} +
                                        "' does not exist: make it (ip link add " +
                                        spec.network->bridge +
                                        " type bridge) or name another in the pool"};
      }
    }
    const auto lxc = std::string{spec.work_dir} + "/lxc-" + random_name();
    const auto container = lxc + "/" + spec.name;
    std::error_code problem;
    fs::create_directories(container, problem);
    if (problem) throw Failure{CLOUD_E_NODE, "make " + container + ": " + problem.message()};
    // The machine's root, a stranger on the host, walks these while liblxc sets it up.
    for (const auto& folder : {std::string{spec.work_dir}, lxc, container}) {
      fs::permissions(folder, fs::perms{0711}, problem);
    }
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    if (same_namespace("/proc/self/ns/mnt", "/proc/1/ns/mnt")) {
      throw Failure{CLOUD_E_INTERNAL, "start() wants a mount namespace of its own"};
    }
    if (find_init(spec.cgroup).pid != 0) {
      throw Failure{CLOUD_E_NODE, "machine '" + std::string{spec.name} + "' runs already"};
    }
    const auto& user = *spec.user;
    std::vector<std::uint32_t> own_gids{user.gid};
    own_gids.insert(own_gids.end(), user.groups, user.groups + user.group_count);
    ContainerPlan plan;
    plan.uids = make_id_map({user.uid}, spec.subid_first);
    plan.gids = make_id_map(own_gids, spec.subid_first);
    choose_cgroup(spec, plan);
    plan.log_level = log_level_;
    // liblxc's own default is a profile that only a node with AppArmor's programs has loaded.
    if (has_apparmor()) plan.apparmor_profile = apparmor_profile_;
    const UserNamespace user_namespace{spec.subid_first, plan.uids, plan.gids,
                                       static_cast<std::uint64_t>(user_pids_max_)};
    plan.user_namespace = user_namespace.path();
    const auto root = mount_rootfs(spec, layer_, user_namespace.fd());
    write_image_files(root.value(), spec);
    choose_init(root.value(), spec, plan);
    choose_console(plan);
    bind_mounts(root.value(), spec);
    run_container(spec, plan, deadline);
  }

  void wait_ready(const cloud_machine_ref& ref, Deadline deadline, const Progress& progress) {
    const bool systemd = fs::exists(std::string{ref.work_dir} + "/systemd");
    progress("init is running");
    for (int round = 0;; ++round) {
      const auto init = find_init(ref.cgroup);
      if (init.pid == 0) {
        throw Failure{CLOUD_E_NODE,
                      "the machine's init has ended" + because(last_console_line(ref.work_dir))};
      }
      if (!systemd) return;
      if (has_reached_multi_user(init, deadline)) return;
      if (round == 0) progress("systemd is starting services");
      deadline.pause(
          host_, 50,
          "wait for systemd to reach multi-user.target" + because(last_console_line(ref.work_dir)));
    }
  }

  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    out.init_pid = find_init(ref.cgroup).pid;
    out.state = out.init_pid != 0          ? CLOUD_RUNNING
                : fs::exists(ref.work_dir) ? CLOUD_PREPARED
                                           : CLOUD_ABSENT;
  }

  void stop(const cloud_machine_ref& ref, Deadline deadline) {
    const auto init = find_init(ref.cgroup);
    if (init.pid == 0) return;
    const bool systemd = fs::exists(std::string{ref.work_dir} + "/systemd");
    // What systemd takes for "halt", and what other inits do for "the power is failing".
    if (end_process(init, systemd ? SIGRTMIN + 3 : SIGPWR, deadline, host_)) return;
    host_.log(CLOUD_WARN,
              "machine '" + std::string{ref.name} + "' ignored the request to shut down");
    (void)end_process(init, SIGKILL, in_seconds(kKillSeconds), host_);
  }

  void destroy(const cloud_machine_ref& ref, Deadline deadline) {
    try {
      end_machine(ref.name, ref.cgroup, host_, deadline);
    } catch (...) {
      delete_interface(veth_name(ref.name));
      throw;
    }
    // It goes with its network namespace, which a process that is not the machine's may hold.
    delete_interface(veth_name(ref.name));
  }

  void list(const std::function<void(const std::string&)>& visit) {
    // liblxc renames a container's monitor to "[lxc monitor] <lxcpath> <name>"; its child has that
    // title, too, until it becomes the container's init.
    constexpr std::string_view kTitle = "[lxc monitor] ";
    std::set<std::string> names;
    std::error_code problem;
    for (const auto& process : fs::directory_iterator{"/proc", problem}) {
      struct stat owner {};
      if (::stat(process.path().c_str(), &owner) != 0 || owner.st_uid != 0) continue;
      std::ifstream file{process.path() / "cmdline"};
      std::string title;
      std::getline(file, title, '\0');
      if (!title.starts_with(kTitle)) continue;
      auto name = title.substr(title.rfind(' ') + 1);
      if (name.starts_with("sc-")) names.insert(std::move(name));
    }
    for (const auto& name : names) visit(name);
  }

 private:
  static void require_kernel_features() {
    long limit = 0;
    std::ifstream{"/proc/sys/user/max_user_namespaces"} >> limit;
    if (limit == 0) {
      throw Failure{CLOUD_E_NODE, "user namespaces are off: sysctl user.max_user_namespaces=65536"};
    }
    std::ifstream systems{"/proc/filesystems"};
    for (std::string word; systems >> word;) {
      if (word == "overlay") return;
    }
    throw Failure{CLOUD_E_NODE, "the kernel has no overlay file system: modprobe overlay"};
  }

  void choose_init(int root, const cloud_machine_spec& spec, ContainerPlan& plan) {
    const std::string wanted = spec.image->init;
    plan.systemd = wanted == "systemd" || (wanted == "auto" && has_systemd(root));
    plan.init = plan.systemd ? "/sbin/init" : wanted;
    if (plan.systemd) {
      std::ofstream{std::string{spec.work_dir} + "/systemd"};
    } else if (wanted == "auto" || wanted == "none") {
      plan.init = kInitInMachine;
      bind_program(root, init_program_.c_str(), kInitInMachine, spec.subid_first);
    }
  }

  void choose_console(ContainerPlan& plan) const {
    constexpr std::int64_t kOfAStart = 2;
    plan.has_console = has_ptys_left(kOfAStart);
    if (plan.has_console) return;
    host_.log(CLOUD_WARN,
              "other machines have all ptys of the node (kernel.pty.max): this one has no console, "
              "and srun --pty no terminal");
  }

  // In v2 the machine's group is below one with a process of Slurm's in it, which can hand no
  // controller on: the job's limits stand above, and there is none for the machine's processes.
  // liblxc would hand every controller on, from the root down to the machine, and fail there; from
  // the machine's own group it finds none to hand on.
  void choose_cgroup(const cloud_machine_spec& spec, ContainerPlan& plan) const {
    plan.pids_max = pids_max_;
    const auto controllers = unified_controllers(spec.cgroup);
    if (!controllers) return;
    plan.relative_cgroup = controllers->empty();
    const auto pids = std::find(controllers->begin(), controllers->end(), "pids");
    if (pids == controllers->end()) plan.pids_max = 0;
  }

  void run_container(const cloud_machine_spec& spec, const ContainerPlan& plan, Deadline deadline) {
    const std::string work_dir = spec.work_dir;
    const auto container = open_container(spec.name, work_dir);
    for (const auto& [key, value] : container_config(spec, plan)) {
      if (!container->set_config_item(container.get(), key.c_str(), value.c_str())) {
        throw Failure{CLOUD_E_INTERNAL, "liblxc refuses " + key + " = " + value};
      }
    }
    container->save_config(container.get(), nullptr);
    container->want_daemonize(container.get(), true);
    // liblxc 5.0 waits without a limit for a monitor that waits without a limit for an init that
    // was killed while it was being set up.
    const auto start = [&] {
      // Its monitor is born here and goes to its own group later: whenever the start is cut off, it
      // is found. And from here liblxc finds no controller to hand on, see choose_cgroup().
      host_.place(spec.cgroup, ::getpid());
      // liblxc's monitor keeps every connection to its command socket, which is an abstract one:
      // nobody on the node reaches it from here.
      if (spec.network == nullptr) {
        enter_empty_network();
      } else {
        const auto port = veth_name(spec.name);
        enter_network_of_port({port, kMachinesEnd, spec.network->bridge, spec.network->mac,
                               spec.network->isolate != 0, [&] { host_.guard_port(port); }});
      }
      return std::string{container->start(container.get(), 0, nullptr) ? "started" : "failed"};
    };
    try {
      if (bounded_call("start the machine with liblxc", start, in_seconds(kStartSeconds, deadline),
                       &host_) == "failed") {
        throw Failure{CLOUD_E_NODE,
                      "liblxc could not start the machine" + because(first_log_error(work_dir))};
      }
      if (take_back_groups(spec.cgroup)) {
        host_.log(CLOUD_WARN, "the machine's root had groups of controllers for a moment");
      }
    } catch (...) {
      end_half_started(spec);
      throw;
    }
  }

  // What cannot be ended here is destroy()'s.
  void end_half_started(const cloud_machine_spec& spec) const {
    try {
      end_machine(spec.name, spec.cgroup, host_);
    } catch (const Failure& failure) {
      if (failure.code() != CLOUD_E_CANCELLED) host_.log(CLOUD_WARN, failure.what());
    }
  }

  // As `systemctl is-system-running` knows it: "running" or "degraded". Entered through the process
  // that we know to be the machine's: liblxc would ask a socket which another may have taken.
  static bool has_reached_multi_user(const sdk::Process& init, Deadline deadline) {
    const auto ask = [&]() -> std::string {
      return run_in_machine(init, {"systemctl", "is-active", "--quiet", "multi-user.target"}) == 0
                 ? "active"
                 : "not yet";
    };
    return bounded_call("ask systemd how far it is", ask, deadline) == "active";
  }

  Host host_;
  WritableLayer layer_;
  std::int64_t pids_max_;
  std::int64_t user_pids_max_;
  std::string log_level_;
  std::string apparmor_profile_;
  std::string init_program_;
};

}  // namespace
}  // namespace cloud::lxc

CLOUD_BACKEND(cloud::lxc::LxcBackend, "lxc", CLOUD_VERSION, CLOUD_CAP_NAMESPACES,
              cloud::lxc::kOptions);
