// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <vector>

#include "core/machine/spec.hpp"

namespace cloud {

/// Points into the setting.
[[nodiscard]] cloud_setting c_setting(const BackendSetting& setting);

/// The C structs of a MachineSpec. Points into the spec: it lives no longer, and does not move.
class SpecView {
 public:
  explicit SpecView(const MachineSpec& spec);
  SpecView(const SpecView&) = delete;
  SpecView& operator=(const SpecView&) = delete;

  [[nodiscard]] const cloud_machine_spec* c_spec() const noexcept { return &spec_; }

 private:
  std::vector<const char*> group_names_;
  std::vector<const char*> dns_;
  std::vector<cloud_mount> mounts_;
  std::vector<cloud_setting> image_settings_;
  cloud_image image_{};
  cloud_user user_{};
  cloud_network network_{};
  cloud_ssh ssh_{};
  cloud_machine_spec spec_{};
};

[[nodiscard]] cloud_machine_ref c_ref(const MachineRef& ref);

}  // namespace cloud
