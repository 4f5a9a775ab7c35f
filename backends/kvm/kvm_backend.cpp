// SPDX-License-Identifier: Apache-2.0
//
// Virtual machines through libvirt. A machine's domain is transient and started paused; every
// thread of its QEMU is moved into the job's cgroup, and only then it runs. From there on the
// machine is known by its process: libvirtd may restart, and where it is out of reach the process
// is ended.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/id_map.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <stdexcept>

#include "backends/kvm/accelerator.hpp"
#include "backends/kvm/console_socket.hpp"
#include "backends/kvm/domain_xml.hpp"
#include "backends/kvm/host_cpus.hpp"
#include "backends/kvm/libvirt_daemon.hpp"
#include "backends/kvm/machine_end.hpp"
#include "backends/kvm/machine_log.hpp"
#include "backends/kvm/node_check.hpp"
#include "backends/kvm/options.hpp"
#include "backends/kvm/private_file.hpp"
#include "backends/kvm/qemu_identity.hpp"
#include "backends/kvm/qemu_process.hpp"
#include "backends/kvm/seed_content.hpp"
#include "backends/kvm/template_image.hpp"
#include "backends/kvm/virtiofs_server.hpp"

namespace cloud::kvm {
namespace {

namespace fs = std::filesystem;
using sdk::Deadline;
using sdk::Failure;
using sdk::Host;
using sdk::in_seconds;
using sdk::Progress;
using sdk::Settings;

constexpr std::int64_t kCleanUpSeconds = 10;
constexpr std::int64_t kKillSeconds = 5;
constexpr std::uint64_t kMiB = 1 << 20;

std::string content_of(const std::string& path, const std::string& what) {
  std::ifstream file{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (!file || text.empty()) {
    throw Failure{CLOUD_E_CONFIG, what + " " + path + " cannot be read"};
  }
  return text;
}

XmlFragment fragment_of(const Settings& settings, const char* key) {
  try {
    return XmlFragment{settings.string(key, "")};
  } catch (const std::invalid_argument& problem) {
    throw settings.wrong(key, std::string{"'"} + key + "': " + problem.what());
  }
}

std::uint64_t mib_setting(const Settings& settings, const char* key, std::int64_t fallback) {
  const auto value = settings.integer(key, fallback);
  if (value < 0 || value > 1048576) {
    throw settings.wrong(key, std::string{"'"} + key + "' shall be 0 to 1048576");
  }
  return static_cast<std::uint64_t>(value);
}

class KvmBackend {
 public:
  KvmBackend(Host host, Settings settings)
      : host_{host},
        daemon_{settings.string("uri", "qemu:///system")},
        is_system_daemon_{settings.string("uri", "qemu:///system") == "qemu:///system"},
        log_dir_{settings.string("libvirt_log_dir", "/var/log/libvirt/qemu")},
        accel_{settings.string("accel", "auto")},
        overhead_mib_{mib_setting(settings, "memory_overhead_mib", 192)},
        least_mib_{mib_setting(settings, "memory_least_mib", 128)},
        tb_cache_mib_{mib_setting(settings, "tb_cache_mib", 128)},
        user_data_{settings.string("user_data", "")},
        qemu_img_{settings.string("qemu_img", "/usr/bin/qemu-img")},
        virtiofsd_{settings.string("virtiofsd", "/usr/lib/qemu/virtiofsd")},
        guest_program_{settings.string("guest_program", CLOUD_GUEST_PROGRAM)},
        guest_setup_{settings.string("guest_setup", CLOUD_GUEST_SETUP)},
        extra_{fragment_of(settings, "domain_xml_extra")} {
    base_.machine = settings.string("machine", "q35");
    base_.cpu_model = settings.string("cpu_model", "");
    base_.disk_bus = settings.string("disk_bus", "virtio");
    base_.nic_model = settings.string("nic_model", "virtio");
    base_.emulator = settings.string("emulator", "");
    uefi_code_ = settings.string("uefi_code", "/usr/share/OVMF/OVMF_CODE_4M.fd");
    base_.uefi_vars = settings.string("uefi_vars", "/usr/share/OVMF/OVMF_VARS_4M.fd");
    if (accel_ != "auto" && accel_ != "kvm" && accel_ != "tcg") {
      throw settings.wrong("accel", "'accel' shall be \"auto\", \"kvm\" or \"tcg\"");
    }
    if (base_.disk_bus != "virtio" && base_.disk_bus != "sata" && base_.disk_bus != "scsi") {
      throw settings.wrong("disk_bus", "'disk_bus' shall be \"virtio\", \"sata\" or \"scsi\"");
    }
  }

  static constexpr const char* image_formats = "qcow2 raw kernel";
  static constexpr const auto& image_options = kImageOptions;

  void probe() {
    require_files({{"qemu_img", qemu_img_, true, "qemu-utils"},
                   {"virtiofsd", virtiofsd_, true, "qemu-system-common"},
                   {"emulator", base_.emulator, true, "qemu-system-x86"},
                   {"guest_program", guest_program_, true, ""},
                   {"guest_setup", guest_setup_, false, ""},
                   {"user_data", user_data_, false, ""}});
    examine_kvm_device("/dev/kvm", accel_, host_);
    if (is_system_daemon_) require_traversable("/var/lib/libvirt/qemu");
    (void)daemon_.version(in_seconds(kCleanUpSeconds));
  }

  void prepare(const cloud_machine_spec& spec) {
    require_socket_path(console_of(spec));
    if (accel_ != "tcg") find_out_about_kvm(kvm_note(spec));
    const auto files = check_template(*spec.image);
    const auto settings = image_settings(spec);
    (void)fragment_of(settings, "domain_xml_extra");
    const auto firmware = settings.string("firmware", "bios");
    if (firmware != "bios" && firmware != "uefi") {
      throw Failure{CLOUD_E_CONFIG, "image '" + std::string{spec.image->name} +
                                        "': 'firmware' shall be \"bios\" or \"uefi\""};
    }
    if (is_disk(spec)) {
      const auto size = settings.integer("disk_size", 0);
      make_overlay(qemu_img_, *spec.image, files,
                   {overlay_of(spec), static_cast<std::uint64_t>(size), owner_of_files(spec)});
    }
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    if (remembered_process(spec.work_dir).pid != 0) {
      throw Failure{CLOUD_E_NODE, "machine '" + std::string{spec.name} + "' runs already"};
    }
    try {
      bring_up(spec, deadline);
    } catch (...) {
      if (const auto words = servers_.last_words(spec.name); !words.empty()) {
        host_.log(CLOUD_WARN, "virtiofsd of machine '" + std::string{spec.name} + "': " + words);
      }
      servers_.end(spec.name, in_seconds(kKillSeconds));
      throw;
    }
  }

  void wait_ready(const cloud_machine_ref& ref, Deadline, const Progress& progress) {
    if (remembered_process(ref.work_dir).pid == 0) {
      throw Failure{CLOUD_E_NODE, "the machine's QEMU has ended right after its start"};
    }
    progress("the domain is started");
  }

  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    const auto process = remembered_process(ref.work_dir);
    out.main_pid = process.pid;
    out.state = process.pid != 0           ? CLOUD_RUNNING
                : fs::exists(ref.work_dir) ? CLOUD_PREPARED
                                           : CLOUD_ABSENT;
  }

  void stop(const cloud_machine_ref& ref, Deadline deadline) {
    const auto process = remembered_process(ref.work_dir);
    if (process.pid == 0) return;
    const auto patience = seconds_before(deadline, kKillSeconds);
    try {
      if (daemon_.shut_down(ref.name, in_seconds(kCleanUpSeconds, patience), host_) &&
          sdk::has_ended(process, patience, host_)) {
        return;
      }
      host_.log(CLOUD_WARN,
                "machine '" + std::string{ref.name} + "' ignored the request to shut down");
    } catch (const Failure& failure) {
      if (failure.code() == CLOUD_E_CANCELLED) throw;
      host_.log(CLOUD_WARN, failure.what() + std::string{"; ending its QEMU instead"});
    }
    (void)sdk::end_process(process, SIGKILL, deadline, host_);
  }

  void destroy(const cloud_machine_ref& ref, Deadline deadline) {
    end_machine(ref, {daemon_, servers_, log_dir_, host_}, deadline);
  }

  void list(const std::function<void(const std::string&)>& visit) {
    const auto logs = log_dir_.empty() ? std::vector<std::string>{} : names_with_logs(log_dir_);
    for (const auto& name : daemon_.list(logs, in_seconds(kCleanUpSeconds))) visit(name);
  }

  int console(const cloud_machine_ref&) {
    if (!console_) throw Failure{CLOUD_E_NOT_FOUND, "the machine was not started by this process"};
    return console_.release();
  }

 private:
  void bring_up(const cloud_machine_spec& spec, Deadline deadline) {
    auto plan = base_;
    plan.image = check_template(*spec.image);
    choose_accelerator(spec, plan);
    size_guest(spec, plan);
    plan.nodes = numa_nodes_of(parse_cpu_list(spec.cpus));
    plan_files(spec, plan);
    const auto mounts = share_folders(spec, plan);
    write_seed(spec, mounts);
    const auto xml = domain_xml(spec, plan);
    write_private_file(std::string{spec.work_dir} + "/domain.xml", xml);
    daemon_.create_paused({spec.name, xml, creation_mark(spec.work_dir)}, deadline, host_);
    try {
      take_over(spec, plan);
      if (spec.network != nullptr) host_.guard_port(plan.nic);
      daemon_.resume(spec.name, deadline, host_);
    } catch (...) {
      (void)end_processes(leftovers(spec.work_dir, spec.name), in_seconds(kKillSeconds));
      throw;
    }
  }

  static bool is_disk(const cloud_machine_spec& spec) {
    return std::string_view{spec.image->format} != "kernel";
  }
  static std::string overlay_of(const cloud_machine_spec& spec) {
    return std::string{spec.work_dir} + "/disk.qcow2";
  }
  // Beside the machines' folders, for all of the node's.
  static std::string kvm_note(const cloud_machine_spec& spec) {
    return fs::path{spec.work_dir}.parent_path() / ".kvm";
  }
  static std::string console_of(const cloud_machine_spec& spec) {
    return std::string{spec.work_dir} + "/console.sock";
  }
  static Settings image_settings(const cloud_machine_spec& spec) {
    return Settings{spec.image->settings, spec.image->setting_count};
  }

  // Nobody else can open what the machine's QEMU writes to.
  static std::uint32_t owner_of_files(const cloud_machine_spec& spec) {
    return sdk::engine_id(spec.subid_first);
  }

  void choose_accelerator(const cloud_machine_spec& spec, DomainPlan& plan) {
    plan.qemu = qemu_identity(spec.subid_first, "");
    if (accel_ == "tcg") return;
    const auto with_kvm = qemu_identity(spec.subid_first, "/dev/kvm");
    const auto found = find_accelerator(kvm_note(spec), with_kvm);
    if (accel_ == "kvm" && !found.hardware) {
      throw Failure{CLOUD_E_NODE, "KVM cannot run the guest on this node (" + found.reason +
                                      "); accel = \"auto\" would fall back to TCG"};
    }
    plan.hardware = found.hardware;
    if (found.hardware) {
      plan.qemu = with_kvm;
    } else {
      host_.log(CLOUD_INFO, "no hardware acceleration (" + found.reason + "): the guest is slow");
    }
  }

  void size_guest(const cloud_machine_spec& spec, DomainPlan& plan) const {
    if (!plan.hardware) plan.tb_cache_mib = static_cast<std::uint32_t>(tb_cache_mib_);
    const auto job = spec.memory_bytes / kMiB;
    const auto overhead = overhead_mib_ + plan.tb_cache_mib;
    if (job < overhead + least_mib_) {
      throw Failure{CLOUD_E_REQUEST,
                    "the job has " + std::to_string(job) +
                        " MiB of memory on this node, of which " + std::to_string(overhead) +
                        " MiB are for the machine's own processes and " +
                        std::to_string(least_mib_) + " MiB at least for the guest: ask for --mem=" +
                        std::to_string(overhead + least_mib_) + "M or more"};
    }
    plan.guest_memory = (job - overhead) * kMiB;
  }

  void plan_files(const cloud_machine_spec& spec, DomainPlan& plan) const {
    const std::string work_dir = spec.work_dir;
    const auto settings = image_settings(spec);
    if (is_disk(spec)) {
      plan.overlay = overlay_of(spec);
      plan.template_format = spec.image->format;
    }
    plan.seed = work_dir + "/seed.iso";
    plan.console = console_of(spec);
    plan.nic = nic_name(spec.name);
    if (settings.string("firmware", "bios") == "uefi") {
      plan.uefi_code = uefi_code_;
      plan.uefi_state = work_dir + "/uefi.fd";
      copy_uefi_state(spec, plan);
    }
    plan.extras = {extra_, fragment_of(settings, "domain_xml_extra")};
  }

  static void copy_uefi_state(const cloud_machine_spec& spec, const DomainPlan& plan) {
    std::error_code problem;
    fs::copy_file(plan.uefi_vars, plan.uefi_state, fs::copy_options::overwrite_existing, problem);
    if (problem) {
      throw Failure{CLOUD_E_CONFIG, "copy " + plan.uefi_vars + ": " + problem.message() +
                                        " (is the package ovmf installed?)"};
    }
    if (::chmod(plan.uefi_state.c_str(), 0600) != 0 ||
        ::chown(plan.uefi_state.c_str(), owner_of_files(spec), owner_of_files(spec)) != 0) {
      throw sdk::system_failure(CLOUD_E_NODE, "change the owner of " + plan.uefi_state, errno);
    }
  }

  // Each mount of the job is served by a virtiofsd of its own, in the job's cgroup like the
  // machine.
  std::vector<GuestMount> share_folders(const cloud_machine_spec& spec, DomainPlan& plan) {
    std::vector<GuestMount> mounts;
    if (spec.mount_count == 0) return mounts;
    std::vector<VirtiofsOrder> orders;
    for (std::size_t i = 0; i < spec.mount_count; ++i) {
      const auto& mount = spec.mounts[i];
      const auto tag = "mount" + std::to_string(i);
      const auto socket = std::string{spec.work_dir} + "/" + tag + ".sock";
      orders.push_back({virtiofsd_, socket, mount.source_fd, mount.read_only != 0});
      plan.shares.push_back({tag, socket});
      mounts.push_back({tag, mount.target, mount.read_only != 0});
    }
    const sdk::UserNamespace user_namespace{spec};
    servers_.start(spec.name, orders, owner_of_files(spec), user_namespace, [&](pid_t server) {
      host_.place(std::string{spec.cgroup} + "/machine", server);
    });
    return mounts;
  }

  void write_seed(const cloud_machine_spec& spec, const std::vector<GuestMount>& mounts) const {
    SeedPlan seed;
    seed.mounts = mounts;
    auto site = user_data_;
    if (const auto own = image_settings(spec).string("user_data", ""); !own.empty()) site = own;
    if (!site.empty()) seed.site_user_data = content_of(site, "cloud-init user-data");
    seed.guest_program = content_of(guest_program_, "the guest's program");
    seed.setup_program = content_of(guest_setup_, "the guest's set-up script");
    write_seed_disk(std::string{spec.work_dir} + "/seed.iso", seed_files(spec, seed),
                    owner_of_files(spec), owner_of_files(spec));
  }

  // The domain is there and does not run: what it touches from now on is charged to the job.
  void take_over(const cloud_machine_spec& spec, const DomainPlan& plan) {
    console_ = connect_console(plan.console);
    const auto process = process_behind(console_, plan.qemu.uid);
    remember_process(spec.work_dir, process);
    host_.place(std::string{spec.cgroup} + "/machine", process.pid);
    std::ofstream{"/proc/" + std::to_string(process.pid) + "/oom_score_adj"} << "0";
    if (sdk::is_over(process)) throw Failure{CLOUD_E_NODE, "the machine's QEMU has ended"};
  }

  Host host_;
  LibvirtDaemon daemon_;
  bool is_system_daemon_;  ///< whose folders are where libvirt is built for
  std::string log_dir_;
  std::string accel_;
  std::uint64_t overhead_mib_;
  std::uint64_t least_mib_;
  std::uint64_t tb_cache_mib_;
  std::string user_data_;
  std::string qemu_img_;
  std::string virtiofsd_;
  std::string guest_program_;
  std::string guest_setup_;
  std::string uefi_code_;
  XmlFragment extra_;
  DomainPlan base_;
  sdk::Descriptor console_;
  VirtiofsServers servers_;
};

}  // namespace
}  // namespace cloud::kvm

CLOUD_BACKEND(cloud::kvm::KvmBackend, "kvm", CLOUD_VERSION, CLOUD_CAP_SSH, cloud::kvm::kOptions);
