// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/seed_content.hpp"

#include <nlohmann/json.hpp>

namespace cloud::kvm {
namespace {

using nlohmann::json;

std::string address_with_prefix(const cloud_network& network) {
  return std::string{network.address} + "/" + std::to_string(network.prefix_length);
}

// Blanks separate the fields of MOUNTS and GROUPS.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == ' ') {
      result += "%20";
    } else if (c == '%') {
      result += "%25";
    } else {
      result += c;
    }
  }
  return result;
}

std::string groups_of(const cloud_user& user) {
  std::string text;
  const auto add = [&](std::uint32_t gid, const char* known) {
    const std::string name = *known == '\0' ? "group" + std::to_string(gid) : known;
    if (name.find_first_of(": \n") != std::string::npos) return;
    text += (text.empty() ? "" : " ") + name + ":" + std::to_string(gid);
  };
  add(user.gid, user.group_names[user.group_count]);
  for (std::size_t i = 0; i < user.group_count; ++i) add(user.groups[i], user.group_names[i]);
  return text;
}

// sshd runs everything through the login shell, also for a user who may not log in on the host.
std::string shell_of(const cloud_user& user) {
  const std::string shell = user.shell;
  const auto name = shell.substr(shell.rfind('/') + 1);
  return name == "nologin" || name == "false" || name.empty() ? "/bin/sh" : shell;
}

std::string machine_env(const cloud_machine_spec& spec, const SeedPlan& plan) {
  const auto& user = *spec.user;
  std::string address;
  std::string gateway;
  std::string dns;
  std::string mac;
  if (spec.network != nullptr) {
    address = address_with_prefix(*spec.network);
    gateway = spec.network->gateway;
    mac = spec.network->mac;
    for (std::size_t i = 0; i < spec.network->dns_count; ++i) {
      dns += (i == 0 ? "" : " ") + std::string{spec.network->dns[i]};
    }
  }
  std::string mounts;
  for (const auto& mount : plan.mounts) {
    mounts += (mounts.empty() ? "" : " ") + mount.tag + ":" + escaped(mount.target) + ":" +
              (mount.read_only ? "ro" : "rw");
  }
  return shell_variable("HOSTNAME", spec.hostname) + shell_variable("USER_NAME", user.name) +
         shell_variable("USER_UID", std::to_string(user.uid)) +
         shell_variable("USER_GID", std::to_string(user.gid)) +
         shell_variable("USER_HOME", user.home) + shell_variable("USER_SHELL", shell_of(user)) +
         shell_variable("USER_GROUPS", groups_of(user)) + shell_variable("ADDRESS", address) +
         shell_variable("GATEWAY", gateway) + shell_variable("DNS", dns) +
         shell_variable("MAC", mac) + shell_variable("MOUNTS", mounts);
}

// JSON is YAML, and nobody has to quote it by hand.
std::string network_config(const cloud_network* network) {
  if (network == nullptr) return json{{"version", 2}, {"ethernets", json::object()}}.dump(1) + "\n";
  json nic{{"match", {{"macaddress", network->mac}}},
           {"set-name", "eth0"},
           {"dhcp4", false},
           {"dhcp6", false},
           {"addresses", {address_with_prefix(*network)}}};
  if (*network->gateway != '\0') {
    // Not "default", which older releases of cloud-init do not know.
    nic["routes"] = json::array({{{"to", "0.0.0.0/0"}, {"via", network->gateway}}});
  }
  if (network->dns_count > 0) {
    json servers = json::array();
    for (std::size_t i = 0; i < network->dns_count; ++i) servers.push_back(network->dns[i]);
    nic["nameservers"] = {{"addresses", servers}};
  }
  return json{{"version", 2}, {"ethernets", {{"eth0", nic}}}}.dump(1) + "\n";
}

// Ours: it runs the seed's own set-up program before cloud-init makes users and starts sshd.
std::string own_user_data(const cloud_machine_spec& spec) {
  const json config{
      {"hostname", spec.hostname},
      {"preserve_hostname", false},
      {"users", json::array()},
      {"ssh_deletekeys", true},
      {"ssh_genkeytypes", json::array()},
      {"ssh_keys",
       {{"ed25519_private", spec.ssh->host_key}, {"ed25519_public", spec.ssh->host_key_public}}},
      {"bootcmd",
       {{"mkdir", "-p", "/run/spank-cloud"},
        {"mount", "-t", "iso9660", "-o", "ro,nosuid,nodev", "/dev/disk/by-label/cidata",
         "/run/spank-cloud"},
        // The folder that is ours over the disk: user-data is out of sight then.
        {"mount", "--bind", "/run/spank-cloud/spank-cloud", "/run/spank-cloud"},
        {"sh", "/run/spank-cloud/setup"}}}};
  return "#cloud-config\n" + config.dump(1) + "\n";
}

// Several user-data as one: cloud-init reads the parts one after the other, and adds their lists.
std::string merged_user_data(const std::vector<std::string>& parts) {
  constexpr const char* kBoundary = "==spank-cloud-part==";
  std::string text = std::string{"Content-Type: multipart/mixed; boundary=\""} + kBoundary +
                     "\"\nMIME-Version: 1.0\n\n";
  for (const auto& part : parts) {
    const bool is_script = part.rfind("#!", 0) == 0;
    text += std::string{"--"} + kBoundary +
            "\nContent-Type: " + (is_script ? "text/x-shellscript" : "text/cloud-config") +
            "; charset=\"utf-8\"\nMIME-Version: 1.0\nMerge-Type: "
            "list(append)+dict(recurse_list,no_replace)+str()\n\n" +
            part + (part.empty() || part.back() != '\n' ? "\n" : "");
  }
  return text + "--" + kBoundary + "--\n";
}

}  // namespace

std::string shell_variable(const std::string& name, const std::string& value) {
  std::string quoted;
  for (const char c : value) {
    if (c == '\'') {
      quoted += "'\\''";
    } else if (c != '\n') {
      quoted += c;
    }
  }
  return name + "='" + quoted + "'\n";
}

std::vector<SeedFile> seed_files(const cloud_machine_spec& spec, const SeedPlan& plan) {
  std::vector<std::string> parts{own_user_data(spec)};
  if (!plan.site_user_data.empty()) parts.push_back(plan.site_user_data);
  if (*spec.user_data != '\0') parts.emplace_back(spec.user_data);
  const json meta{{"instance-id", spec.name}, {"local-hostname", spec.hostname}};
  return {{"meta-data", meta.dump(1) + "\n", 0444},
          {"user-data", merged_user_data(parts), 0400},
          {"network-config", network_config(spec.network), 0444},
          {"spank-cloud/machine.env", machine_env(spec, plan), 0444},
          {"spank-cloud/authorized_key", spec.ssh->authorized_key, 0444},
          {"spank-cloud/host_key", spec.ssh->host_key, 0400},
          {"spank-cloud/host_key.pub", spec.ssh->host_key_public, 0444},
          {"spank-cloud/guest", plan.guest_program, 0555},
          {"spank-cloud/setup", plan.setup_program, 0555}};
}

}  // namespace cloud::kvm
