// SPDX-License-Identifier: Apache-2.0
#include "core/backend/spec_view.hpp"

namespace cloud {

cloud_setting c_setting(const BackendSetting& setting) {
  cloud_setting view{};
  view.key = setting.key.c_str();
  view.file = setting.where.file.c_str();
  view.line = setting.where.line;
  view.column = setting.where.column;
  if (const auto* text = std::get_if<std::string>(&setting.value)) {
    view.type = CLOUD_STRING;
    view.string = text->c_str();
  } else if (const auto* integer = std::get_if<std::int64_t>(&setting.value)) {
    view.type = CLOUD_INT;
    view.integer = *integer;
  } else {
    view.type = CLOUD_BOOL;
    view.boolean = std::get<bool>(setting.value) ? 1 : 0;
  }
  return view;
}

SpecView::SpecView(const MachineSpec& spec) {
  for (const auto& name : spec.user.group_names) group_names_.push_back(name.c_str());
  group_names_.resize(spec.user.groups.size() + 1, "");
  for (const auto& mount : spec.mounts) {
    mounts_.push_back({sizeof(cloud_mount), mount.read_only ? 1 : 0, mount.source_fd,
                       mount.source.c_str(), mount.target.c_str()});
  }
  for (const auto& setting : spec.image.settings) image_settings_.push_back(c_setting(setting));
  image_ = {sizeof image_,
            spec.image.name.c_str(),
            spec.image.path.c_str(),
            spec.image.format.c_str(),
            spec.image.init.c_str(),
            spec.image.initrd.c_str(),
            spec.image.cmdline.c_str(),
            image_settings_.data(),
            image_settings_.size()};
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
                dns_.size(),
                network.isolate ? 1 : 0};
    spec_.network = &network_;
  }
  spec_.mounts = mounts_.data();
  spec_.mount_count = mounts_.size();
  if (spec.ssh) {
    ssh_ = {sizeof ssh_, spec.ssh->authorized_key.c_str(), spec.ssh->host_key.c_str(),
            spec.ssh->host_key_public.c_str()};
    spec_.ssh = &ssh_;
  }
  spec_.user_data = spec.user_data.c_str();
}

cloud_machine_ref c_ref(const MachineRef& ref) {
  return {sizeof(cloud_machine_ref), ref.name.c_str(), ref.work_dir.c_str(), ref.cgroup.c_str()};
}

}  // namespace cloud
