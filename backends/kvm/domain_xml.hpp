// SPDX-License-Identifier: Apache-2.0
//
// A libvirt domain from a machine's specification. Pure: built with an XML library, never by
// pasting text, so that no name or path can become markup.
#pragma once

#include <spank-cloud/backend_abi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "backends/kvm/qemu_identity.hpp"
#include "backends/kvm/template_image.hpp"
#include "backends/kvm/xml_fragment.hpp"

namespace cloud::kvm {

/// CPUs of one NUMA node of the host that are the job's.
struct NumaNode {
  std::uint32_t id = 0;
  std::vector<std::uint32_t> cpus;
};

/// A folder that an external virtiofsd serves.
struct SharedFolder {
  std::string tag;
  std::string socket;
};

/// What a domain depends on besides the specification.
struct DomainPlan {
  QemuIdentity qemu;               ///< whom it runs as
  bool hardware = false;           ///< KVM, or else TCG
  std::uint64_t guest_memory = 0;  ///< bytes; a multiple of 1 MiB
  std::uint32_t tb_cache_mib = 0;  ///< TCG's cache of translated code
  std::vector<NumaNode> nodes;     ///< in order; one virtual CPU for each CPU
  std::string machine;             ///< "q35"
  std::string cpu_model;           ///< "" for what the accelerator does best
  std::string disk_bus = "virtio";
  std::string nic_model = "virtio";
  std::string emulator;         ///< "" for libvirt's own
  std::string overlay;          ///< qcow2; "" where the machine has no disk
  ImageFiles image;             ///< what was checked, which is what is used
  std::string template_format;  ///< of what lies below the overlay
  std::string seed;             ///< the NoCloud disk
  std::string console;          ///< path of the socket that libvirt makes
  std::string uefi_code;        ///< "" for BIOS
  std::string uefi_vars;        ///< the template of uefi_state
  std::string uefi_state;       ///< the machine's own variables
  std::string nic;              ///< name of the host's side, at most 15 bytes
  std::vector<SharedFolder> shares;
  std::vector<XmlFragment> extras;  ///< the site's, of the backend and of the image
};

inline constexpr const char* kTagNamespace = "urn:spank-cloud:machine:1";

[[nodiscard]] std::string domain_xml(const cloud_machine_spec& spec, const DomainPlan& plan);

/// The job that a domain's XML says it is of, as domain_xml() wrote it; 0 where it is not ours.
[[nodiscard]] std::uint64_t job_of_domain(const std::string& xml);

/// What the host's side of a machine's network is called.
[[nodiscard]] std::string nic_name(const std::string& machine);

/// "0-1,4" as numbers.
[[nodiscard]] std::vector<std::uint32_t> parse_cpu_list(const std::string& list);

}  // namespace cloud::kvm
