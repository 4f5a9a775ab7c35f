// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/domain_xml.hpp"

#include <algorithm>
#include <charconv>
#include <spank-cloud/interface_name.hpp>
#include <sstream>
#include <string_view>

namespace cloud::kvm {
namespace {

using pugi::xml_node;

xml_node add(xml_node parent, const char* name, const std::string& text = {}) {
  auto node = parent.append_child(name);
  if (!text.empty()) node.text().set(text.c_str());
  return node;
}

template <typename Value>
xml_node with(xml_node node, const char* attribute, const Value& value) {
  if constexpr (std::is_same_v<Value, std::string>) {
    node.append_attribute(attribute).set_value(value.c_str());
  } else {
    node.append_attribute(attribute).set_value(value);
  }
  return node;
}

std::uint32_t cpu_count(const DomainPlan& plan) {
  std::size_t count = 0;
  for (const auto& node : plan.nodes) count += node.cpus.size();
  return static_cast<std::uint32_t>(count);
}

std::string list_of(const std::vector<NumaNode>& nodes) {
  std::string text;
  for (const auto& node : nodes) {
    for (const auto cpu : node.cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
  }
  return text;
}

void add_cpus(xml_node domain, const DomainPlan& plan) {
  const auto all = list_of(plan.nodes);
  const auto vcpu = add(domain, "vcpu", std::to_string(cpu_count(plan)));
  with(with(vcpu, "placement", "static"), "cpuset", all);
  const auto tune = add(domain, "cputune");
  std::uint32_t number = 0;
  for (const auto& node : plan.nodes) {
    for (const auto cpu : node.cpus) {
      with(with(add(tune, "vcpupin"), "vcpu", number++), "cpuset", std::to_string(cpu));
    }
  }
  with(add(tune, "emulatorpin"), "cpuset", all);
  if (plan.nodes.size() < 2) return;
  const auto numa = add(domain, "numatune");
  std::uint32_t cell = 0;
  for (const auto& node : plan.nodes) {
    // Preferred: the job's memory need not lie where its CPUs are.
    with(with(with(add(numa, "memnode"), "cellid", cell++), "mode", "preferred"), "nodeset",
         std::to_string(node.id));
  }
}

// A cell of the guest for each NUMA node of the job, with memory in proportion to its CPUs.
void add_numa_cells(xml_node cpu, const DomainPlan& plan) {
  if (plan.nodes.size() < 2) return;
  const auto numa = add(cpu, "numa");
  const auto total_mib = plan.guest_memory >> 20;
  const std::uint64_t all_cpus = std::max(cpu_count(plan), 1U);
  std::uint64_t given = 0;
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const auto count = static_cast<std::uint32_t>(plan.nodes[i].cpus.size());
    const bool is_last = i + 1 == plan.nodes.size();
    const auto share = is_last ? total_mib - given : total_mib * count / all_cpus;
    given += share;
    const auto cell = add(numa, "cell");
    with(cell, "id", static_cast<std::uint32_t>(i));
    with(cell, "cpus", std::to_string(first) + "-" + std::to_string(first + count - 1));
    with(with(cell, "memory", std::to_string(share)), "unit", "MiB");
    if (!plan.shares.empty()) with(cell, "memAccess", "shared");
    first += count;
  }
}

void add_cpu_model(xml_node domain, const DomainPlan& plan) {
  const auto cpu = add(domain, "cpu");
  if (plan.cpu_model.empty()) {
    // What KVM's processor is, and all that TCG can do.
    with(cpu, "mode", "maximum");
  } else {
    with(with(cpu, "mode", "custom"), "match", "exact");
    with(add(cpu, "model", plan.cpu_model), "fallback", "forbid");
  }
  with(with(with(with(add(cpu, "topology"), "sockets", std::uint32_t{1}), "dies", std::uint32_t{1}),
            "cores", cpu_count(plan)),
       "threads", std::uint32_t{1});
  add_numa_cells(cpu, plan);
}

void add_boot(xml_node domain, const cloud_machine_spec& spec, const DomainPlan& plan) {
  const auto os = add(domain, "os");
  with(with(add(os, "type", "hvm"), "arch", "x86_64"), "machine", plan.machine);
  if (!plan.uefi_code.empty()) {
    with(with(add(os, "loader", plan.uefi_code), "readonly", "yes"), "type", "pflash");
    with(add(os, "nvram", plan.uefi_state), "template", plan.uefi_vars);
  }
  if (std::string_view{spec.image->format} == "kernel") {
    add(os, "kernel", plan.image.path);
    if (!plan.image.initrd.empty()) add(os, "initrd", plan.image.initrd);
    add(os, "cmdline", *spec.image->cmdline == '\0' ? "console=ttyS0" : spec.image->cmdline);
  } else {
    with(add(os, "boot"), "dev", "hd");
    // A firmware without a screen says on the console what it misses.
    with(add(os, "bios"), "useserial", "yes");
  }
}

void add_features(xml_node domain, const DomainPlan& plan) {
  const auto features = add(domain, "features");
  add(features, "acpi");
  add(features, "apic");
  if (plan.hardware || plan.tb_cache_mib == 0) return;
  with(add(add(features, "tcg"), "tb-cache", std::to_string(plan.tb_cache_mib)), "unit", "MiB");
}

void add_disks(xml_node devices, const DomainPlan& plan) {
  if (!plan.overlay.empty()) {
    const auto disk = with(with(add(devices, "disk"), "type", "file"), "device", "disk");
    with(with(with(add(disk, "driver"), "name", "qemu"), "type", "qcow2"), "discard", "unmap");
    with(add(disk, "source"), "file", plan.overlay);
    const auto below = with(add(disk, "backingStore"), "type", "file");
    with(add(below, "format"), "type", plan.template_format);
    with(add(below, "source"), "file", plan.image.path);
    add(below, "backingStore");
    with(with(add(disk, "target"), "dev", plan.disk_bus == "virtio" ? "vda" : "sda"), "bus",
         plan.disk_bus);
  }
  const auto seed = with(with(add(devices, "disk"), "type", "file"), "device", "disk");
  with(with(add(seed, "driver"), "name", "qemu"), "type", "raw");
  with(add(seed, "source"), "file", plan.seed);
  with(with(add(seed, "target"), "dev", "vdb"), "bus", "virtio");
  add(seed, "readonly");
}

void add_network(xml_node devices, const cloud_machine_spec& spec, const DomainPlan& plan) {
  if (spec.network == nullptr) return;
  const auto& network = *spec.network;
  const auto nic = with(add(devices, "interface"), "type", "bridge");
  with(add(nic, "mac"), "address", network.mac);
  with(add(nic, "source"), "bridge", network.bridge);
  with(add(nic, "target"), "dev", plan.nic);
  with(add(nic, "model"), "type", plan.nic_model);
  if (network.isolate != 0) with(add(nic, "port"), "isolated", "yes");
}

void add_shares(xml_node devices, const DomainPlan& plan) {
  for (const auto& share : plan.shares) {
    const auto system = with(add(devices, "filesystem"), "type", "mount");
    with(with(add(system, "driver"), "type", "virtiofs"), "queue", "1024");
    with(add(system, "source"), "socket", share.socket);
    with(add(system, "target"), "dir", share.tag);
  }
}

void add_devices(xml_node domain, const cloud_machine_spec& spec, const DomainPlan& plan) {
  const auto devices = add(domain, "devices");
  if (!plan.emulator.empty()) add(devices, "emulator", plan.emulator);
  add_disks(devices, plan);
  add_network(devices, spec, plan);
  add_shares(devices, plan);
  const auto serial = with(add(devices, "serial"), "type", "unix");
  with(with(add(serial, "source"), "mode", "bind"), "path", plan.console);
  with(add(serial, "target"), "port", "0");
  const auto console = with(add(devices, "console"), "type", "unix");
  with(with(add(console, "source"), "mode", "bind"), "path", plan.console);
  with(with(add(console, "target"), "type", "serial"), "port", "0");
  const auto random = with(add(devices, "rng"), "model", "virtio");
  with(add(random, "backend", "/dev/urandom"), "model", "random");
  with(add(devices, "memballoon"), "model", "none");
  with(add(devices, "controller"), "type", "usb").append_attribute("model").set_value("none");
}

}  // namespace

std::string domain_xml(const cloud_machine_spec& spec, const DomainPlan& plan) {
  pugi::xml_document document;
  const auto domain = with(add(document, "domain"), "type", plan.hardware ? "kvm" : "qemu");
  add(domain, "name", spec.name);
  const auto tag = add(add(domain, "metadata"), "cloud:machine");
  with(with(tag, "xmlns:cloud", kTagNamespace), "job", std::to_string(spec.job_id));
  const auto mib = std::to_string(plan.guest_memory >> 20);
  with(add(domain, "memory", mib), "unit", "MiB");
  with(add(domain, "currentMemory", mib), "unit", "MiB");
  if (!plan.shares.empty()) {
    const auto backing = add(domain, "memoryBacking");
    with(add(backing, "source"), "type", "memfd");
    with(add(backing, "access"), "mode", "shared");
  }
  add_cpus(domain, plan);
  add_boot(domain, spec, plan);
  add_features(domain, plan);
  add_cpu_model(domain, plan);
  with(add(domain, "clock"), "offset", "utc");
  add(domain, "on_poweroff", "destroy");
  add(domain, "on_reboot", "restart");
  add(domain, "on_crash", "destroy");
  add_devices(domain, spec, plan);
  const auto label = with(with(add(domain, "seclabel"), "type", "static"), "model", "dac");
  // The files are ours to own: libvirt shall neither take them over nor give them back.
  with(label, "relabel", "no");
  add(label, "label", "+" + std::to_string(plan.qemu.uid) + ":+" + std::to_string(plan.qemu.gid));
  for (const auto& extra : plan.extras) extra.apply_to(domain);
  std::ostringstream text;
  document.save(text, "  ", pugi::format_default | pugi::format_no_declaration);
  return text.str();
}

std::uint64_t job_of_domain(const std::string& xml) {
  pugi::xml_document document;
  if (!document.load_string(xml.c_str())) return 0;
  for (const auto tag : document.child("domain").child("metadata").children()) {
    for (const auto attribute : tag.attributes()) {
      const std::string_view name = attribute.name();
      const bool is_ours =
          name.substr(0, 5) == "xmlns" && std::string_view{attribute.value()} == kTagNamespace;
      if (is_ours) return tag.attribute("job").as_ullong();
    }
  }
  return 0;
}

std::string nic_name(const std::string& machine) {
  return sdk::interface_name("vk", machine);
}

std::vector<std::uint32_t> parse_cpu_list(const std::string& list) {
  std::vector<std::uint32_t> cpus;
  const char* next = list.data();
  const char* end = next + list.size();
  while (next < end) {
    std::uint32_t first = 0;
    auto parsed = std::from_chars(next, end, first);
    if (parsed.ec != std::errc{}) break;
    std::uint32_t last = first;
    if (parsed.ptr < end && *parsed.ptr == '-') parsed = std::from_chars(parsed.ptr + 1, end, last);
    for (auto cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    next = parsed.ptr + (parsed.ptr < end ? 1 : 0);
  }
  return cpus;
}

}  // namespace cloud::kvm
