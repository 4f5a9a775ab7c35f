// SPDX-License-Identifier: Apache-2.0
//
// Virtual machines through libvirt. A machine's domain is transient and started paused; every
// thread of its QEMU is moved into the job's cgroup, and only then it runs. From there on the
// machine is known by its process: libvirtd may restart, and where it is out of reach the process
// is ended.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <stdexcept>

#include "backends/kvm/accelerator.hpp"
#include "backends/kvm/console_socket.hpp"
#include "backends/kvm/domain_xml.hpp"
#include "backends/kvm/host_cpus.hpp"
#include "backends/kvm/libvirt_cgroups.hpp"
#include "backends/kvm/libvirt_daemon.hpp"
#include "backends/kvm/network_filter.hpp"
#include "backends/kvm/node_check.hpp"
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

constexpr std::int64_t kCreateSeconds = 60;
constexpr std::int64_t kResumeSeconds = 20;
constexpr std::int64_t kCleanUpSeconds = 10;
constexpr std::int64_t kKillSeconds = 5;
constexpr std::uint64_t kMiB = 1 << 20;

constexpr cloud_option kOptions[] = {
    {"uri", CLOUD_STRING, 0, "qemu:///system", "Where libvirtd answers."},
    {"libvirt_run_dir", CLOUD_STRING, 0, "/run/libvirt/qemu",
     "Where libvirtd keeps the process ids of its domains."},
    {"libvirt_log_dir", CLOUD_STRING, 0, "/var/log/libvirt/qemu",
     "Where libvirtd keeps a log of each domain, which goes with the machine; \"\" keeps it."},
    {"accel", CLOUD_STRING, 0, "auto",
     "\"kvm\", \"tcg\" (QEMU's own translation, slow and everywhere), or \"auto\": KVM where it "
     "can really run a guest."},
    {"memory_overhead_mib", CLOUD_INT, 0, "192",
     "What of the job's memory is QEMU's and virtiofsd's, and not the guest's; with TCG its cache "
     "comes on top."},
    {"memory_least_mib", CLOUD_INT, 0, "128", "A guest with less memory than this is refused."},
    {"tb_cache_mib", CLOUD_INT, 0, "128", "TCG's cache of translated code."},
    {"machine", CLOUD_STRING, 0, "q35", "QEMU's machine type."},
    {"cpu_model", CLOUD_STRING, 0, "",
     "A CPU model of libvirt's; by default all that the accelerator can do."},
    {"disk_bus", CLOUD_STRING, 0, "virtio",
     "How a guest sees its disk: \"virtio\", \"sata\" or \"scsi\"."},
    {"nic_model", CLOUD_STRING, 0, "virtio", "How a guest sees its network."},
    {"network_filter", CLOUD_BOOL, 0, "true",
     "Whether libvirt's nwfilter pins a machine to its MAC and leased address."},
    {"user_data", CLOUD_STRING, 0, "", "A file of cloud-init user-data for every machine."},
    {"domain_xml_extra", CLOUD_STRING, 0, "",
     "Additions to every domain: <devices>, <features>, <clock> and <cpu> of libvirt's format."},
    {"emulator", CLOUD_STRING, 0, "", "The QEMU to run; by default libvirt's choice."},
    {"qemu_img", CLOUD_STRING, 0, "/usr/bin/qemu-img", "The program that makes overlays."},
    {"virtiofsd", CLOUD_STRING, 0, "/usr/lib/qemu/virtiofsd", "The program that serves folders."},
    {"uefi_code", CLOUD_STRING, 0, "/usr/share/OVMF/OVMF_CODE_4M.fd", "UEFI firmware."},
    {"uefi_vars", CLOUD_STRING, 0, "/usr/share/OVMF/OVMF_VARS_4M.fd",
     "The variables that a machine with UEFI starts from."},
    {"guest_program", CLOUD_STRING, 0, CLOUD_GUEST_PROGRAM,
     "The static program that runs tasks in a guest."},
    {"guest_setup", CLOUD_STRING, 0, CLOUD_GUEST_SETUP,
     "The script that sets up a guest with cloud-init."},
};

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
        run_dir_{settings.string("libvirt_run_dir", "/run/libvirt/qemu")},
        log_dir_{settings.string("libvirt_log_dir", "/var/log/libvirt/qemu")},
        accel_{settings.string("accel", "auto")},
        overhead_mib_{mib_setting(settings, "memory_overhead_mib", 192)},
        least_mib_{mib_setting(settings, "memory_least_mib", 128)},
        tb_cache_mib_{mib_setting(settings, "tb_cache_mib", 128)},
        pins_network_{settings.boolean("network_filter", true)},
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
  static constexpr cloud_option image_options[] = {
      {"disk_size", CLOUD_INT, 0, nullptr,
       "Bytes that the guest's disk shows, and may grow to; by default those of the image."},
      {"firmware", CLOUD_STRING, 0, "bios", "What starts the image: \"bios\" or \"uefi\"."},
      {"user_data", CLOUD_STRING, 0, "",
       "A file of cloud-init user-data for this image's machines."},
      {"domain_xml_extra", CLOUD_STRING, 0, "",
       "Additions to the domains of this image's machines."},
  };

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
    check_template(*spec.image);
    const auto settings = image_settings(spec);
    (void)fragment_of(settings, "domain_xml_extra");
    const auto firmware = settings.string("firmware", "bios");
    if (firmware != "bios" && firmware != "uefi") {
      throw Failure{CLOUD_E_CONFIG, "image '" + std::string{spec.image->name} +
                                        "': 'firmware' shall be \"bios\" or \"uefi\""};
    }
    if (is_disk(spec)) {
      const auto size = settings.integer("disk_size", 0);
      make_overlay(qemu_img_, *spec.image, overlay_of(spec), static_cast<std::uint64_t>(size),
                   spec.user->uid, spec.user->gid);
    }
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    if (remembered_process(spec.work_dir).pid != 0) {
      throw Failure{CLOUD_E_NODE, "machine '" + std::string{spec.name} + "' runs already"};
    }
    try {
      bring_up(spec, deadline);
    } catch (...) {
      servers_.end(spec.name);
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
    try {
      if (daemon_.shut_down(ref.name, in_seconds(kCleanUpSeconds, deadline), host_) &&
          sdk::has_ended(process, deadline, host_)) {
        return;
      }
      host_.log(CLOUD_WARN,
                "machine '" + std::string{ref.name} + "' ignored the request to shut down");
    } catch (const Failure& failure) {
      if (failure.code() == CLOUD_E_CANCELLED) throw;
      host_.log(CLOUD_WARN, failure.what() + std::string{"; ending its QEMU instead"});
    }
    (void)sdk::end_process(process, SIGKILL, in_seconds(kKillSeconds), host_);
  }

  void destroy(const cloud_machine_ref& ref, Deadline deadline) {
    try {
      end_domain(ref, deadline);
      daemon_.forget_filter_of(nic_name(ref.name), in_seconds(kCleanUpSeconds, deadline));
    } catch (const Failure& failure) {
      if (failure.code() == CLOUD_E_INTERNAL) throw;
      // The domain is transient: libvirtd forgets it when it sees that its process has gone.
      host_.log(CLOUD_WARN, failure.what() + std::string{"; ending its QEMU instead"});
    }
    pid_t stays = 0;
    for (const auto& process : processes_of_machine(ref)) {
      if (!sdk::end_process(process, SIGKILL, in_seconds(kKillSeconds), host_)) stays = process.pid;
    }
    servers_.end(ref.name);
    remove_libvirt_cgroups(ref.name);
    // One a job would be there for ever.
    if (!log_dir_.empty()) ::unlink((log_dir_ + "/" + ref.name + ".log").c_str());
    if (stays != 0) {
      throw Failure{CLOUD_E_NODE, "QEMU, process " + std::to_string(stays) + " of machine '" +
                                      ref.name + "', does not die"};
    }
  }

  void list(const std::function<void(const std::string&)>& visit) {
    for (const auto& name : daemon_.list(in_seconds(kCleanUpSeconds))) visit(name);
  }

  int console(const cloud_machine_ref&) {
    if (!console_) throw Failure{CLOUD_E_NOT_FOUND, "the machine was not started by this process"};
    return console_.release();
  }

 private:
  // See NewDomain.
  static std::string creation_mark(const std::string& work_dir) { return work_dir + "/creating"; }

  // libvirtd may come to a request only after the one who sent it was killed.
  void end_domain(const cloud_machine_ref& ref, Deadline deadline) {
    constexpr int kLooks = 10;
    constexpr timespec kPause{0, 100'000'000};
    for (int look = 0; look < kLooks; ++look) {
      if (daemon_.destroy(ref.name, in_seconds(kCleanUpSeconds, deadline))) return;
      if (::access(creation_mark(ref.work_dir).c_str(), F_OK) != 0 || deadline.expired()) return;
      ::nanosleep(&kPause, nullptr);
    }
  }

  // Anybody may call a process like that: the machine's is its user's, whose its disks are.
  static std::vector<sdk::Process> processes_of_machine(const cloud_machine_ref& ref) {
    auto found = processes_by_name(ref.name);
    struct stat seed {};
    if (::stat((std::string{ref.work_dir} + "/seed.iso").c_str(), &seed) != 0) return found;
    found.erase(std::remove_if(found.begin(), found.end(),
                               [&](const sdk::Process& process) {
                                 struct stat owner {};
                                 const auto path = "/proc/" + std::to_string(process.pid);
                                 return ::stat(path.c_str(), &owner) == 0 && owner.st_uid != 0 &&
                                        owner.st_uid != seed.st_uid;
                               }),
                found.end());
    return found;
  }

  void bring_up(const cloud_machine_spec& spec, Deadline deadline) {
    auto plan = base_;
    choose_accelerator(spec, plan);
    size_guest(spec, plan);
    plan.nodes = numa_nodes_of(parse_cpu_list(spec.cpus));
    plan_files(spec, plan);
    const auto mounts = share_folders(spec, plan);
    write_seed(spec, mounts);
    if (spec.network != nullptr && pins_network_) {
      plan.filter = kNetworkFilter;
      daemon_.define_filter(plan.filter, network_filter_xml(), in_seconds(kResumeSeconds, deadline),
                            host_);
    }
    const auto xml = domain_xml(spec, plan);
    std::ofstream{std::string{spec.work_dir} + "/domain.xml"} << xml;
    daemon_.create_paused({spec.name, xml, creation_mark(spec.work_dir)},
                          in_seconds(kCreateSeconds, deadline), host_);
    try {
      take_over(spec, plan);
      daemon_.resume(spec.name, in_seconds(kResumeSeconds, deadline), host_);
    } catch (...) {
      for (const auto& process : processes_by_name(spec.name)) kill_process(process);
      throw;
    }
  }

  static bool is_disk(const cloud_machine_spec& spec) {
    return std::string_view{spec.image->format} != "kernel";
  }
  static std::string overlay_of(const cloud_machine_spec& spec) {
    return std::string{spec.work_dir} + "/disk.qcow2";
  }
  static std::string console_of(const cloud_machine_spec& spec) {
    return std::string{spec.work_dir} + "/console.sock";
  }
  static Settings image_settings(const cloud_machine_spec& spec) {
    return Settings{spec.image->settings, spec.image->setting_count};
  }

  void choose_accelerator(const cloud_machine_spec& spec, DomainPlan& plan) {
    if (accel_ == "tcg") return;
    // Beside the machines' folders, for all of the node's.
    const auto note = fs::path{spec.work_dir}.parent_path() / ".kvm";
    const auto found = find_accelerator(note.string(), *spec.user);
    if (accel_ == "kvm" && !found.hardware) {
      throw Failure{CLOUD_E_NODE, "KVM cannot run the guest on this node (" + found.reason +
                                      "); accel = \"auto\" would fall back to TCG"};
    }
    plan.hardware = found.hardware;
    if (!found.hardware) {
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
        ::chown(plan.uefi_state.c_str(), spec.user->uid, spec.user->gid) != 0) {
      throw sdk::system_failure(CLOUD_E_NODE, "change the owner of " + plan.uefi_state, errno);
    }
  }

  // Each mount of the job is served by a virtiofsd of its own, in the job's cgroup like the
  // machine.
  std::vector<GuestMount> share_folders(const cloud_machine_spec& spec, DomainPlan& plan) {
    std::vector<GuestMount> mounts;
    if (spec.mount_count == 0) return mounts;
    const sdk::UserNamespace user_namespace{spec};
    for (std::size_t i = 0; i < spec.mount_count; ++i) {
      const auto& mount = spec.mounts[i];
      const auto tag = "mount" + std::to_string(i);
      const auto socket = std::string{spec.work_dir} + "/" + tag + ".sock";
      const auto server = start_virtiofs_server(
          {virtiofsd_, socket, std::string{spec.work_dir} + "/" + tag + ".log", mount.source_fd,
           mount.read_only != 0},
          *spec.user, user_namespace);
      servers_.add(spec.name, server);
      host_.place(std::string{spec.cgroup} + "/machine", server);
      plan.shares.push_back({tag, socket});
      mounts.push_back({tag, mount.target, mount.read_only != 0});
    }
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
                    spec.user->uid, spec.user->gid);
  }

  // The domain is there and does not run: what it touches from now on is charged to the job.
  void take_over(const cloud_machine_spec& spec, const DomainPlan& plan) {
    const auto process = process_of_libvirt(run_dir_, spec.name);
    remember_process(spec.work_dir, process.pid);
    host_.place(std::string{spec.cgroup} + "/machine", process.pid);
    std::ofstream{"/proc/" + std::to_string(process.pid) + "/oom_score_adj"} << "0";
    console_ = connect_console(plan.console);
  }

  Host host_;
  LibvirtDaemon daemon_;
  bool is_system_daemon_;  ///< whose folders are where libvirt is built for
  std::string run_dir_;
  std::string log_dir_;
  std::string accel_;
  std::uint64_t overhead_mib_;
  std::uint64_t least_mib_;
  std::uint64_t tb_cache_mib_;
  bool pins_network_;
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
