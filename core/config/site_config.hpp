// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "core/config/diagnostic.hpp"
#include "core/error.hpp"
#include "core/job/request.hpp"

namespace cloud {

/// One key of a [backend.NAME] table that belongs to the backend itself.
struct BackendSetting {
  std::string key;
  std::variant<std::string, std::int64_t, bool> value;
  Place where;      ///< of the value
  Place key_where;  ///< of the key
};

/// [backend.NAME]
struct BackendConfig {
  std::string name;
  bool enabled = true;
  std::string image;  ///< default image, "" for none
  std::string pool;   ///< address pool, "" for none: the machine has loopback only
  std::vector<BackendSetting> settings;
  Place where;
  std::string notes;  ///< the folder that remembers which files of backends load; "" for none
};

/// [image.NAME]
struct ImageConfig {
  std::string name;
  std::string path;
  std::string format;   ///< "directory", "squashfs", "raw", "qcow2" or "kernel"
  std::string initrd;   ///< of a kernel; may be ""
  std::string cmdline;  ///< of a kernel; may be ""
  std::string sha256;   ///< of the file `path`, 64 lower-case hex digits; "" pins nothing
  std::string initrd_sha256;
  std::string init = "auto";       ///< "auto", "systemd", "none" or an absolute path in the image
  std::vector<std::string> types;  ///< backends that may use it; empty means all
  std::string description;
  std::vector<BackendSetting> settings;  ///< keys that are a backend's to know
  Place where;
};

/// What machines may reach of the node itself.
struct NodeService {
  std::string protocol;    ///< "tcp", "udp" or "icmp"
  std::uint16_t port = 0;  ///< 0 for icmp
};

/// [pool.NAME]
struct PoolConfig {
  std::string name;
  std::string file;     ///< the CSV `#IP;SLURM_JOB_ID;USED`
  bool shared = false;  ///< whether other nodes lease from the same file
  std::string bridge;
  int prefix_length = 24;
  std::string gateway;  ///< "" for none
  std::vector<std::string> dns;
  bool isolate = true;  ///< whether machines of different jobs are kept from reaching each other
  bool filter =
      true;  ///< whether machines are held to what they may send (core/network/port_guard)
  std::vector<NodeService> node_services;  ///< besides forwarding and `dns`
  Place where;
};

/// [[mount]]: what every machine sees of the host, besides $HOME.
struct MountConfig {
  std::string source;
  std::string target;
  bool read_only = false;
  Place where;
};

enum class StageAction { lease_address, create_machine, destroy_machine, release_address, exec };
[[nodiscard]] std::string_view to_string(StageAction action);
enum class OnError { fail_job, drain_node, go_on };  // "fail-job", "drain-node", "continue"

/// [[prolog.stage]] or [[epilog.stage]]
struct StageConfig {
  std::string name;
  StageAction action = StageAction::exec;
  std::string
      exec;  ///< a program or a folder of programs, run in name order; only for StageAction::exec
  std::string
      undo;  ///< a program that undoes `exec` when a later stage of the prolog fails; may be ""
  enum class When { cloud, always, types } when = When::cloud;
  std::vector<std::string> when_types;  ///< for When::types
  std::chrono::seconds timeout{60};
  OnError on_error = OnError::fail_job;
  Place where;
};

struct SiteConfig {
  std::string file;  ///< the main file, for messages
  // [cloud]
  std::string default_type;  ///< "" for none: a job gets a machine only when it asks
  RunMode default_run = RunMode::steps;
  std::string state_dir;  ///< job records and machines' disks; on disk, survives a reboot
  std::string run_dir;    ///< published states; may be a tmpfs
  std::string backend_dir;
  bool mount_home = true;
  std::chrono::seconds boot_timeout{120};
  std::chrono::seconds stall_timeout{120};  ///< without a sign of life of a machine that boots
  std::chrono::seconds orphan_grace{
      60};  ///< from the end of a job to the end of its machine without epilog
  std::chrono::seconds stop_timeout{10};
  std::chrono::seconds hook_timeout{60};  ///< of a prolog or epilog, without what is the site's own
  std::uint32_t mounts_max = 1000;  ///< of the host's that a machine sees, with what is below them
  std::uint32_t subid_first =
      1879048192;  ///< first id of the range that machines divide among them
  std::uint32_t subid_count = 268304384;
  std::uint32_t uid_first = 1000;  ///< the user who has the first range; see subid_ranges.hpp
  std::string subid_map;           ///< of users who have another than their uid says; "" for none

  std::vector<BackendConfig> backends;
  std::vector<ImageConfig> images;
  std::vector<PoolConfig> pools;
  std::vector<MountConfig> mounts;
  std::vector<StageConfig> prolog;  ///< the default stages where the file names none
  std::vector<StageConfig> epilog;

  /// Where it is remembered which files of backends load.
  [[nodiscard]] std::string backend_notes() const { return state_dir + "/.backends"; }
  /// nullptr where there is none of that name or it is not enabled.
  [[nodiscard]] const BackendConfig* backend(std::string_view name) const;
  [[nodiscard]] const ImageConfig* image(std::string_view name) const;
  [[nodiscard]] const PoolConfig* pool(std::string_view name) const;
  /// "kvm, lxc": the enabled backends, sorted, for messages.
  [[nodiscard]] std::string backend_names() const;
  /// The images that a backend of that name may use, sorted, for messages; of these the ones that
  /// `takes` takes.
  [[nodiscard]] std::string image_names(
      std::string_view type, const std::function<bool(const ImageConfig&)>& takes = {}) const;
};

struct ConfigSource {
  std::string file;
  std::string text;
};

/// Reads FILE, then conf.d/*.toml beside it in name order. Every mistake is in `report`, sorted by
/// place; the config is usable only where report.empty().
struct LoadedConfig {
  SiteConfig config;
  Report report;
  std::vector<ConfigSource> sources;  ///< what was read, FILE first where it could be
};
[[nodiscard]] LoadedConfig load_site_config(const std::string& file);

/// The same for root, which acts on what it says: where others could have written any of the files,
/// that is in `report`, and the config is what it is without a file.
[[nodiscard]] LoadedConfig load_trusted_site_config(const std::string& file);

/// load_site_config as a Result: the error (Blame::site) is the first diagnostic and their number.
[[nodiscard]] Result<SiteConfig> require_site_config(const std::string& file);
/// The same of load_trusted_site_config.
[[nodiscard]] Result<SiteConfig> require_trusted_site_config(const std::string& file);

/// The file that the package was built for: CLOUD_SYSCONFDIR/spank-cloud/cloud.toml.
[[nodiscard]] std::string default_config_file();

}  // namespace cloud
