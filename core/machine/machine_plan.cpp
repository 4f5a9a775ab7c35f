// SPDX-License-Identifier: Apache-2.0
#include "core/machine/machine_plan.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

#include "core/address/lease_file.hpp"
#include "core/backend/backend.hpp"

namespace cloud {
namespace {

// Letters, digits and '-' of a node name, in lower case, so that it fits a DNS label.
std::string label_of(std::string_view node, std::size_t limit) {
  std::string label;
  for (const char c : node) {
    const auto byte = static_cast<unsigned char>(c);
    label += std::isalnum(byte) != 0 ? static_cast<char>(std::tolower(byte)) : '-';
  }
  if (label.size() > limit) label.resize(limit);
  return label;
}

// FNV-1a, eight hex digits: the same in every build, as machines outlive programs.
std::string digest_of(std::string_view text) {
  std::uint32_t digest = 2166136261U;
  for (const char c : text) {
    digest = (digest ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  std::array<char, 9> hex{};
  std::snprintf(hex.data(), hex.size(), "%08x", digest);
  return hex.data();
}

// What the backend shall know of the image, which has to be of a format that it takes.
Result<std::vector<BackendSetting>> settings_of_image(const SiteConfig& config,
                                                      const ImageConfig& image,
                                                      const std::string& backend) {
  const auto table = load_backend_table(config.backend_dir, backend, config.backend_notes());
  if (!table) return table.error();
  if (!takes_image_format(**table, image.format)) {
    return Error{Blame::site, image.where.text() + ": the image '" + image.name +
                                  "' has the format '" + image.format + "' and backend '" +
                                  backend + "' takes " + image_format_names(**table)};
  }
  if (image.types.size() == 1) {
    Report report;
    check_image_settings({*table}, image, report);
    if (!report.empty()) {
      return Error{Blame::site, report.first_line()};
    }
  }
  return image_settings_for(**table, image);
}

// For messages: those that are for the type and in a format that it takes.
std::string usable_images(const SiteConfig& config, const std::string& type) {
  const auto table = load_backend_table(config.backend_dir, type, config.backend_notes());
  return config.image_names(type, [&](const ImageConfig& image) {
    return !table || takes_image_format(**table, image.format);
  });
}

}  // namespace

Result<Request> resolve_request(const SiteConfig& config, Request request) {
  const auto* backend = config.backend(request.type);
  if (backend == nullptr) {
    const auto names = config.backend_names();
    return Error{Blame::user,
                 "unknown --cloud-type '" + printable(request.type) + "': " +
                     (names.empty() ? "this site has enabled no type" : "this site has " + names)};
  }
  if (request.image.empty()) request.image = backend->image;
  const auto have = [&] {
    const auto images = usable_images(config, request.type);
    return images.empty() ? "this site has none for type " + request.type
                          : "this site has " + images + " for type " + request.type;
  };
  if (request.image.empty()) {
    return Error{Blame::user, "--cloud-type=" + request.type +
                                  " has no default image: add --cloud-image=NAME (" + have() + ")"};
  }
  const auto* image = config.image(request.image);
  const bool fits = image != nullptr &&
                    (image->types.empty() || std::find(image->types.begin(), image->types.end(),
                                                       request.type) != image->types.end());
  if (!fits) {
    return Error{Blame::user,
                 "unknown --cloud-image '" + printable(request.image) + "': " + have()};
  }
  if (!request.run) request.run = config.default_run;
  return request;
}

std::string machine_name(std::string_view node, std::uint64_t job_id) {
  constexpr std::size_t kLongest = 39;
  auto label = label_of(node, kLongest);
  // What had to be changed is told apart by a digest: 'N.1' and 'n-1' are two nodes.
  if (label != node) label = label_of(node, 30) + "-" + digest_of(node);
  return "sc-" + label + "-" + std::to_string(job_id);
}

std::string machine_hostname(std::string_view node, std::uint64_t job_id) {
  return label_of(node, 42) + "-" + std::to_string(job_id);
}

Result<MachineSpec> plan_machine(const SiteConfig& config, const JobRecord& record) {
  if (!record.request || !record.machine) {
    return Error{Blame::internal, "the job record names no machine"};
  }
  const auto* image = config.image(record.request->image);
  if (image == nullptr) {
    return Error{Blame::site, "the image '" + record.request->image +
                                  "' was taken out of the configuration while the job was waiting"};
  }
  auto settings = settings_of_image(config, *image, record.machine->backend);
  if (!settings) return std::move(settings).error();
  MachineSpec spec;
  spec.name = record.machine->name;
  spec.hostname = machine_hostname(record.node, record.job_id);
  spec.work_dir = record.machine->work_dir;
  spec.cgroup = record.machine->cgroup;
  spec.job_id = record.job_id;
  spec.subid_first = record.machine->subid_first;
  spec.image = {image->name,   image->path,    image->format,       image->init,
                image->initrd, image->cmdline, *std::move(settings)};
  spec.user.uid = record.uid;
  spec.user.gid = record.gid;
  spec.user.name = record.user;
  if (record.lease) {
    const auto* pool = config.pool(record.lease->pool);
    if (pool == nullptr) {
      return Error{Blame::site,
                   "the pool '" + record.lease->pool +
                       "' was taken out of the configuration while the job was waiting"};
    }
    spec.network = MachineNetwork{static_cast<std::uint32_t>(pool->prefix_length),
                                  pool->bridge,
                                  mac_of(record.lease->address),
                                  record.lease->address,
                                  pool->gateway,
                                  pool->dns,
                                  pool->isolate};
  }
  return spec;
}

MachineRef machine_ref(const MachineRecord& record) {
  return {record.name, record.work_dir, record.cgroup};
}

}  // namespace cloud
