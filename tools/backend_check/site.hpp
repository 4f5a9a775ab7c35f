// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"
#include "tools/backend_check/run_mark.hpp"
#include "tools/backend_check/subject.hpp"

namespace cloud {

struct LiveOptions {
  std::string config_file;
  std::string image;    ///< "" for the backend's default
  std::string user;     ///< whose machines
  std::string address;  ///< "" for one of the pool's
  std::uint64_t memory_mb = 512;
};

/// Where the machines of a run live: folders, cgroups and an address of its own, gone at the end.
class Site {
 public:
  /// Completes the target with what the configuration says of it, and makes the run's folders.
  [[nodiscard]] static Result<std::unique_ptr<Site>> set_up(const LiveOptions& options,
                                                            Target& target);
  /// Leases an address, or takes that of the options. To be called before machines are made.
  [[nodiscard]] Result<void> take_address(const Target& target);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  /// Names of machines are of the check that makes them, as checks run in processes of their own.
  void begin_check(std::size_t number) {
    check_ = number;
    made_ = 0;
  }
  /// A machine that nobody has heard of; its work directory exists. Its size is that of its cgroup,
  /// which is made.
  [[nodiscard]] Result<MachineSpec> new_machine();
  /// Opens what is mounted, with the user's rights, by the names in the specification that no check
  /// has spoilt; `spec` borrows it.
  [[nodiscard]] static Result<std::vector<UniqueFd>> open_mounts(MachineSpec& spec,
                                                                 const MachineSpec& honest);
  /// Removes its work directory and cgroup.
  [[nodiscard]] Result<void> remove_machine(const MachineSpec& spec) const;

  [[nodiscard]] const std::string& base() const { return base_; }
  [[nodiscard]] std::string machines_dir() const { return base_ + "/machines"; }
  [[nodiscard]] std::string run_dir() const { return base_ + "/run"; }
  /// What is mounted in each machine, and the file in it with its content.
  [[nodiscard]] static const char* mount_target() { return "/mnt"; }
  [[nodiscard]] static const char* mounted_file() { return "/mnt/of-the-host"; }
  [[nodiscard]] std::string mounted_text() const { return base_; }

  /// References to what is left of machines of a check that was cut short.
  [[nodiscard]] std::vector<MachineRef> left_machines() const;
  /// Those of runs with the same backend that were killed before they could clean up.
  [[nodiscard]] std::vector<std::unique_ptr<Site>> orphans(const Target& target) const;
  /// Removes all that is the run's own. Returns what could not be removed.
  [[nodiscard]] std::string tear_down();

 private:
  Site() = default;
  /// Whose process has that number.
  void belong_to(pid_t run);
  [[nodiscard]] Result<void> make_folders();

  SiteConfig config_;
  RunMark mark_;
  RunHoldings holds_;
  std::string wanted_address_;
  std::string base_;
  std::string cgroup_;
  std::uint64_t memory_mb_ = 0;
  MachineUser user_;
  MachineImage image_;
  std::optional<MachineNetwork> network_;
  std::size_t check_ = 0;
  std::size_t made_ = 0;
};

[[nodiscard]] MachineRef ref_of(const MachineSpec& spec);

}  // namespace cloud
