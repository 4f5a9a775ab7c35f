// SPDX-License-Identifier: Apache-2.0
#include "core/backend/spec_view.hpp"

namespace cloud {

SpecView::SpecView(const MachineSpec& spec) {
  for (const auto& name : spec.user.group_names) group_names_.push_back(name.c_str());
  group_names_.resize(spec.user.groups.size() + 1, "");
  for (const auto& mount : spec.mounts) {
    mounts_.push_back({sizeof(cloud_mount), mount.read_only ? 1 : 0, mount.source_fd,
                       mount.source.c_str(), mount.target.c_str()});
  }
  image_ = {sizeof image_, spec.image.name.c_str(), spec.image.path.c_str(),
            spec.image.format.c_str(), spec.image.init.c_str()};
  user_.struct_size = sizeof user_;
  user_.uid = spec.user.uid;
  user_.gid = spec.user.gid;
  user_.name = spec.user.name.c_str();
  user_.home = spec.user.home.c_str();
  user_.shell = spec.user.shell.c_str();
  user_.groups = spec.user.groups.data();
  user_.group_names = group_names_.data();
  user_.group_count = spec.user.groups.size();
  spec_.struct_size = sizeof spec_;
  spec_.cpu_count = spec.cpu_count;
  spec_.memory_bytes = spec.memory_bytes;
  spec_.job_id = spec.job_id;
  spec_.name = spec.name.c_str();
  spec_.hostname = spec.hostname.c_str();
  spec_.cpus = spec.cpus.c_str();
  spec_.work_dir = spec.work_dir.c_str();
  spec_.cgroup = spec.cgroup.c_str();
  spec_.subid_first = spec.subid_first;
  spec_.subid_count = spec.subid_count;
  spec_.image = &image_;
  spec_.user = &user_;
  if (spec.network) {
    const auto& network = *spec.network;
    for (const auto& server : network.dns) dns_.push_back(server.c_str());
    network_ = {sizeof network_,
                network.prefix_length,
                network.bridge.c_str(),
                network.mac.c_str(),
                network.address.c_str(),
                network.gateway.c_str(),
                dns_.data(),
                dns_.size()};
    spec_.network = &network_;
  }
  spec_.mounts = mounts_.data();
  spec_.mount_count = mounts_.size();
}

cloud_machine_ref c_ref(const MachineRef& ref) {
  return {sizeof(cloud_machine_ref), ref.name.c_str(), ref.work_dir.c_str(), ref.cgroup.c_str()};
}

}  // namespace cloud
