// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

namespace cloud::kvm {

/// The keys of [backend.kvm].
inline constexpr cloud_option kOptions[] = {
    {"uri", CLOUD_STRING, 0, "qemu:///system", "Where libvirtd answers."},
    {"libvirt_run_dir", CLOUD_STRING, 0, "/run/libvirt/qemu",
     "Not used any more: a machine's QEMU is known by the socket of its console."},
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

/// What an [image.NAME] of this backend's may say besides.
inline constexpr cloud_option kImageOptions[] = {
    {"disk_size", CLOUD_INT, 0, nullptr,
     "Bytes that the guest's disk shows, and may grow to; by default those of the image."},
    {"firmware", CLOUD_STRING, 0, "bios", "What starts the image: \"bios\" or \"uefi\"."},
    {"user_data", CLOUD_STRING, 0, "", "A file of cloud-init user-data for this image's machines."},
    {"domain_xml_extra", CLOUD_STRING, 0, "", "Additions to the domains of this image's machines."},
};

}  // namespace cloud::kvm
