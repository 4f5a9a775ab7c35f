// SPDX-License-Identifier: Apache-2.0
#include "hooks/spec_builder.hpp"

#include <sys/stat.h>

#include "core/job/cgroup_limits.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/machine/mount_source.hpp"
#include "core/machine/user_account.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {

Result<MachineSpec> SpecBuilder::build() {
  auto planned = plan_machine(config_, record_);
  if (!planned) return std::move(planned).error();
  auto spec = *std::move(planned);
  auto user = look_up_user(record_);
  if (!user) return std::move(user).error();
  spec.user = *std::move(user);
  const auto cpus = cpus_of_group(spec.cgroup);
  if (!cpus) return cpus.error();
  spec.cpus = *cpus;
  spec.cpu_count = count_cpu_list(*cpus);
  const auto limit = memory_limit_of_job(spec.cgroup);
  if (!limit) return limit.error();
  spec.memory_bytes = limit->value_or(memory_mb_ << 20);
  if (auto added = add_mounts(spec); !added) return std::move(added).error();
  if (record_.request->user_data.empty()) return spec;
  auto text = read_user_data(spec.user);
  if (!text) return std::move(text).error();
  spec.user_data = *std::move(text);
  return spec;
}

Result<void> SpecBuilder::add_mounts(MachineSpec& spec) {
  const auto add = [&](MachineMount mount) -> Result<void> {
    for (const auto& other : spec.mounts) {
      if (other.target == mount.target) {
        return Error{Blame::user, "two mounts at " + mount.target + " in the machine"};
      }
    }
    auto source = open_as_user(spec.user, mount.source);
    if (!source) return std::move(source).error();
    if (auto good = may_be_mounted(source->value(), mount.source); !good) return good;
    mount.source_fd = source->value();
    sources_.push_back(*std::move(source));
    spec.mounts.push_back(std::move(mount));
    return {};
  };
  if (config_.mount_home && spec.user.home.starts_with('/') && spec.user.home != "/") {
    // A user without a home on this node still gets a machine.
    struct stat status {};
    if (::stat(spec.user.home.c_str(), &status) == 0) {
      if (auto done = add({spec.user.home, spec.user.home, false, -1}); !done) return done;
    }
  }
  for (const auto& mount : config_.mounts) {
    auto done = add({mount.source, mount.target, mount.read_only, -1});
    if (!done) return std::move(done).error().within(mount.where.text());
  }
  for (const auto& mount : record_.request->mounts) {
    auto done = add({mount.source, mount.target, mount.read_only, -1});
    if (!done) return std::move(done).error().within("--cloud-mount");
  }
  return {};
}

Result<void> SpecBuilder::may_be_mounted(int source, const std::string& path) {
  const auto what = "mount source " + path;
  if (auto foreign = require_foreign_source(source, {config_.state_dir, config_.run_dir}, what);
      !foreign) {
    return foreign;
  }
  // Each is memory of the node's, and time at every start.
  const auto mounts = read_file("/proc/self/mountinfo", 16 << 20);
  if (!mounts) return mounts.error();
  mount_count_ += count_mounts(*mounts, path_of_descriptor(source));
  if (mount_count_ > config_.mounts_max) {
    return Error{Blame::user, what + ": with it the machine would have " +
                                  std::to_string(mount_count_) + " mounts, and the site allows " +
                                  std::to_string(config_.mounts_max) +
                                  " (cloud.mounts_max): choose folders with fewer file systems "
                                  "below them"};
  }
  return {};
}

Result<std::string> SpecBuilder::read_user_data(const MachineUser& user) const {
  constexpr std::size_t kUserDataMax = 64 << 10;
  return read_as_user(user, record_.request->user_data, "--cloud-user-data:", kUserDataMax);
}

}  // namespace cloud
