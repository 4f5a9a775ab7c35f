// SPDX-License-Identifier: Apache-2.0
//
// Fails as its settings ask: every way in which a class behind CLOUD_BACKEND can.
#include <fcntl.h>

#include <new>
#include <spank-cloud/backend.hpp>
#include <string>

namespace {

using namespace cloud::sdk;

constexpr cloud_option kOptions[] = {
    {"code", CLOUD_INT, 0, "0", "The cloud_code of probe()."},
    {"throws", CLOUD_STRING, 0, nullptr, "What probe() throws instead."},
    {"in_open", CLOUD_BOOL, 0, "false", "Throw in the constructor already."},
};

class Codes {
 public:
  Codes(Host host, Settings settings)
      : host_{host}, code_{settings.integer("code", 0)}, throws_{settings.string("throws", "")} {
    if (settings.boolean("in_open", false)) probe();
  }
  ~Codes() noexcept(false) {
    if (throws_ == "at the end") throw 9;
  }

  void probe() {
    host_.log(CLOUD_WARN, "about to\nfail");
    if (throws_ == "bad_alloc") throw std::bad_alloc{};
    if (throws_ == "standard") throw std::runtime_error{"off by one"};
    if (throws_ == "integer") throw 7;
    if (code_ != 0) throw Failure{static_cast<std::int32_t>(code_), "as asked", 5};
  }

  void prepare(const cloud_machine_spec& spec) {
    std::string all;
    const auto say = [&all](const auto& value) {
      if constexpr (std::is_integral_v<std::decay_t<decltype(value)>>) {
        all += std::to_string(value);
      } else {
        all += value;
      }
      all += ';';
    };
    say(spec.struct_size == sizeof spec);
    say(spec.name), say(spec.hostname), say(spec.cpu_count), say(spec.memory_bytes);
    say(spec.job_id), say(spec.cpus), say(spec.work_dir), say(spec.cgroup);
    say(spec.subid_first), say(spec.subid_count);
    say(spec.image->name), say(spec.image->path), say(spec.image->format), say(spec.image->init);
    const auto& user = *spec.user;
    say(user.uid), say(user.gid), say(user.name), say(user.home), say(user.shell);
    for (std::size_t i = 0; i < user.group_count; ++i) say(user.groups[i]);
    for (std::size_t i = 0; i <= user.group_count; ++i) say(user.group_names[i]);
    if (spec.network == nullptr) {
      say("no network");
    } else {
      const auto& network = *spec.network;
      say(network.prefix_length), say(network.bridge), say(network.mac), say(network.address);
      say(network.gateway);
      for (std::size_t i = 0; i < network.dns_count; ++i) say(network.dns[i]);
    }
    for (std::size_t i = 0; i < spec.mount_count; ++i) {
      const auto& mount = spec.mounts[i];
      say(mount.source), say(mount.target), say(mount.read_only), say(mount.source_fd);
    }
    say(spec.image->initrd), say(spec.image->cmdline);
    const Settings settings{spec.image->settings, spec.image->setting_count};
    say(settings.string("firmware", "bios"));
    if (spec.ssh != nullptr) {
      say(spec.ssh->authorized_key), say(spec.ssh->host_key), say(spec.ssh->host_key_public);
    }
    say(spec.user_data);
    throw Failure{CLOUD_E_REQUEST, all};
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    if (throws_ == "place") host_.place(spec.cgroup, 4712);
    if (deadline.expired()) throw Failure{CLOUD_E_TIMEOUT, "came too late"};
    throw Failure{CLOUD_E_NODE, std::to_string(deadline.remaining() / 1000000000) + " s left"};
  }
  void wait_ready(const cloud_machine_ref&, Deadline, const Progress& progress) {
    progress("first\tphase");
    progress("second");
  }
  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    out.state = CLOUD_RUNNING;
    out.init_pid = 4711;
    const auto text = std::string{ref.name} + " " + ref.work_dir + " " + ref.cgroup;
    text.copy(out.detail, sizeof out.detail - 1);
  }
  void stop(const cloud_machine_ref&, Deadline) { refuse_if_cancelled(); }
  void destroy(const cloud_machine_ref&, Deadline) { refuse_if_cancelled(); }
  void list(const std::function<void(const std::string&)>&) {}
  int console(const cloud_machine_ref&) {
    if (throws_ == "place") host_.place("/late", 1);
    return ::open("/dev/null", O_RDWR);
  }

  static constexpr const char* image_formats = "squashfs qcow2";
  static constexpr cloud_option image_options[] = {
      {"firmware", CLOUD_STRING, 0, "bios", "What starts the image: bios or uefi."},
      {"disk_size", CLOUD_INT, 0, nullptr, "Bytes."}};

 private:
  void refuse_if_cancelled() const {
    if (host_.cancelled()) throw Failure{CLOUD_E_CANCELLED, "the job is being cancelled"};
  }

  Host host_;
  std::int64_t code_;
  std::string throws_;
};

}  // namespace

CLOUD_BACKEND(Codes, "codes", "2.1", CLOUD_CAP_NAMESPACES, kOptions);
