// SPDX-License-Identifier: Apache-2.0
#include "core/config/site_config_reader.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace cloud {
namespace {

bool is_ipv4(const std::string& text) {
  in_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

bool is_interface_name(const std::string& text) {
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                  c == '-';
         });
}

bool is_stage_name(const std::string& text) {
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// "tcp/3128", "udp/123", "icmp".
std::optional<NodeService> node_service_of(const std::string& text) {
  if (text == "icmp") return NodeService{"icmp", 0};
  const auto slash = text.find('/');
  const auto protocol = text.substr(0, slash);
  if (slash == std::string::npos || (protocol != "tcp" && protocol != "udp")) return std::nullopt;
  NodeService service{protocol, 0};
  const auto* first = text.data() + slash + 1;
  const auto* last = text.data() + text.size();
  const auto [end, failure] = std::from_chars(first, last, service.port);
  if (failure != std::errc{} || end != last || service.port == 0) return std::nullopt;
  return service;
}

// What the name of an image says of its format, where the site does not.
std::string format_of(const std::string& path, bool has_initrd) {
  if (has_initrd) return "kernel";
  constexpr std::pair<std::string_view, const char*> kEnds[] = {
      {".squashfs", "squashfs"}, {".sqsh", "squashfs"}, {".sfs", "squashfs"},
      {".qcow2", "qcow2"},       {".raw", "raw"},       {".img", "raw"}};
  for (const auto& [end, format] : kEnds) {
    if (path.ends_with(end)) return format;
  }
  return "directory";
}

// The keys that nobody has asked for: a backend's to judge.
std::vector<BackendSetting> read_settings(TableReader& reader) {
  std::vector<BackendSetting> settings;
  for (const auto& key : reader.other_keys()) {
    const auto* node = reader.raw(key);
    BackendSetting setting{key, {}, reader.place(key), reader.key_place(key)};
    if (auto text = node->value_exact<std::string>()) {
      setting.value = *text;
    } else if (auto integer = node->value_exact<std::int64_t>()) {
      setting.value = *integer;
    } else if (auto boolean = node->value_exact<bool>()) {
      setting.value = *boolean;
    } else {
      reader.complain(key, "'" + key + "' shall be a string, an integer, true or false");
      continue;
    }
    settings.push_back(std::move(setting));
  }
  return settings;
}

std::string read_digest(TableReader& reader, const std::string& key) {
  auto digest = reader.string(key).value_or("");
  const bool good = digest.size() == 64 && std::all_of(digest.begin(), digest.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  if (!digest.empty() && !good) {
    reader.complain(key,
                    "'" + key + "' shall be 64 lower-case hex digits, as sha256sum prints them");
  }
  return digest;
}

std::string without_blame(const Error& error) {
  return error.message;
}

}  // namespace

void SiteConfigReader::read_all(const std::string& file) {
  read_file(file);
  const auto folder = std::filesystem::path{file}.parent_path() / "conf.d";
  std::vector<std::string> files;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator{folder, problem}) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  for (const auto& part : files) read_file(part);
}

void SiteConfigReader::read_file(const std::string& file) {
  const auto text = read_file_(file, 16 << 20);
  if (!text) {
    // What has no system call's error is there, and somebody else's to write.
    const auto* what = text.error().os_errno == 0 ? "is not used: " : "cannot be read: ";
    report_.add({file, 0, 0}, what + text.error().message);
    return;
  }
  sources_.push_back({file, *text});
  toml::table root;
  try {
    root = toml::parse(std::string_view{*text}, std::string_view{file});
  } catch (const toml::parse_error& problem) {
    report_.add(place_of(problem.source(), file), std::string{problem.description()});
    return;
  }
  TableReader reader{root, file, report_};
  if (const auto* table = reader.table("cloud")) read_cloud(*table, file);
  for (const auto& [name, table] : reader.named_tables("backend")) read_backend(name, *table, file);
  for (const auto& [name, table] : reader.named_tables("image")) read_image(name, *table, file);
  for (const auto& [name, table] : reader.named_tables("pool")) read_pool(name, *table, file);
  for (const auto* table : reader.tables("mount")) read_mount(*table, file);
  if (const auto* list = reader.table("prolog")) read_stages(*list, file, config_.prolog);
  if (const auto* list = reader.table("epilog")) read_stages(*list, file, config_.epilog);
  reader.finish();
}

bool SiteConfigReader::define_once(const std::string& what, const Place& where) {
  const auto [found, is_new] = defined_.emplace(what, where);
  if (!is_new) report_.add(where, what + " is defined before, at " + found->second.text());
  return is_new;
}

void SiteConfigReader::read_cloud(const toml::table& table, const std::string& file) {
  TableReader reader{table, file, report_};
  for (const auto& [key, node] : table) {
    define_once("'cloud." + std::string{key.str()} + "'", place_of(key.source(), file));
  }
  if (auto value = reader.string("default_type")) config_.default_type = *value;
  if (const auto mode = reader.choice("default_run", {"steps", "all", "host"})) {
    config_.default_run = static_cast<RunMode>(*mode);
  }
  if (auto value = reader.path("state_dir")) config_.state_dir = *value;
  if (auto value = reader.path("run_dir")) config_.run_dir = *value;
  if (auto value = reader.path("backend_dir")) config_.backend_dir = *value;
  if (auto value = reader.boolean("mount_home")) config_.mount_home = *value;
  if (auto value = reader.duration("boot_timeout")) config_.boot_timeout = *value;
  if (auto value = reader.duration("stall_timeout")) config_.stall_timeout = *value;
  if (auto value = reader.duration("orphan_grace")) config_.orphan_grace = *value;
  if (auto value = reader.duration("stop_timeout")) config_.stop_timeout = *value;
  if (auto value = reader.duration("hook_timeout")) config_.hook_timeout = *value;
  if (auto value = reader.integer("mounts_max", 1, 100000)) {
    config_.mounts_max = static_cast<std::uint32_t>(*value);
  }
  if (auto value = reader.integer("subid_first", 65536, 4294901760)) {
    config_.subid_first = static_cast<std::uint32_t>(*value);
  }
  if (auto value = reader.integer("subid_count", 65536, 4294836224)) {
    config_.subid_count = static_cast<std::uint32_t>(*value);
    if (*value % 65536 != 0)
      reader.complain("subid_count", "'subid_count' shall be a multiple of 65536");
  }
  if (auto value = reader.integer("uid_first", 1, 4294967293)) {
    config_.uid_first = static_cast<std::uint32_t>(*value);
  }
  if (auto value = reader.path("subid_map")) config_.subid_map = *value;
  if (std::uint64_t{config_.subid_first} + config_.subid_count > 4294967294) {
    reader.complain(reader.has("subid_count") ? "subid_count" : "subid_first",
                    "subid_first + subid_count is beyond the last id, 4294967293");
  }
  reader.finish();
}

void SiteConfigReader::read_backend(const std::string& name, const toml::table& table,
                                    const std::string& file) {
  TableReader reader{table, file, report_};
  if (!define_once("[backend." + name + "]", reader.place())) return;
  if (!parse_type(name)) {
    report_.add(reader.place(), "a backend's name is [a-z][a-z0-9_]*, at most 63 characters");
    return;
  }
  BackendConfig backend;
  backend.name = name;
  backend.where = reader.place();
  backend.enabled = reader.boolean("enabled").value_or(true);
  backend.image = reader.string("image").value_or("");
  backend.pool = reader.string("pool").value_or("");
  backend.settings = read_settings(reader);
  config_.backends.push_back(std::move(backend));
}

void SiteConfigReader::read_image(const std::string& name, const toml::table& table,
                                  const std::string& file) {
  TableReader reader{table, file, report_};
  if (!define_once("[image." + name + "]", reader.place())) return;
  if (const auto good = parse_image(name); !good)
    report_.add(reader.place(), without_blame(good.error()));
  ImageConfig image;
  image.name = name;
  image.where = reader.place();
  if (!reader.has("path")) report_.add(reader.place(), "'path' is missing");
  image.path = reader.path("path").value_or("");
  image.initrd = reader.path("initrd").value_or("");
  const std::vector<std::string> formats{"directory", "squashfs", "raw", "qcow2", "kernel"};
  const auto format = reader.choice("format", formats);
  image.format = format ? formats[*format] : format_of(image.path, !image.initrd.empty());
  image.cmdline = reader.string("cmdline").value_or("");
  for (const auto* key : {"initrd", "cmdline", "initrd_sha256"}) {
    if (reader.has(key) && image.format != "kernel") {
      reader.complain(key, std::string{"'"} + key + "' goes with format = \"kernel\" only");
    }
  }
  image.sha256 = read_digest(reader, "sha256");
  image.initrd_sha256 = read_digest(reader, "initrd_sha256");
  if (!image.sha256.empty() && image.format == "directory") {
    reader.complain("sha256", "'sha256' is of a file, and this image is a folder");
  }
  image.init = reader.string("init").value_or("auto");
  if (image.init != "auto" && image.init != "systemd" && image.init != "none" &&
      !image.init.starts_with('/')) {
    reader.complain("init",
                    "'init' shall be 'auto', 'systemd', 'none' or an absolute path in the image");
  }
  for (auto& [type, where] : reader.strings("types")) image.types.push_back(type);
  image.description = reader.string("description").value_or("");
  image.settings = read_settings(reader);
  config_.images.push_back(std::move(image));
}

void SiteConfigReader::read_pool(const std::string& name, const toml::table& table,
                                 const std::string& file) {
  TableReader reader{table, file, report_};
  if (!define_once("[pool." + name + "]", reader.place())) return;
  PoolConfig pool;
  pool.name = name;
  pool.where = reader.place();
  if (!reader.has("file")) report_.add(reader.place(), "'file' is missing");
  pool.file = reader.path("file").value_or("");
  pool.shared = reader.boolean("shared").value_or(false);
  pool.bridge = reader.required_string("bridge").value_or("");
  if (!pool.bridge.empty() && !is_interface_name(pool.bridge)) {
    reader.complain("bridge", "'bridge' shall be an interface name of at most 15 characters");
  }
  pool.prefix_length = static_cast<int>(reader.integer("prefix_length", 8, 30).value_or(24));
  pool.gateway = reader.string("gateway").value_or("");
  if (!pool.gateway.empty() && !is_ipv4(pool.gateway)) {
    reader.complain("gateway", "'gateway' shall be an IPv4 address or \"\"");
  }
  for (auto& [server, where] : reader.strings("dns")) {
    if (!is_ipv4(server)) report_.add(where, "a DNS server shall be an IPv4 address");
    pool.dns.push_back(server);
  }
  pool.isolate = reader.boolean("isolate").value_or(true);
  pool.filter = reader.boolean("filter").value_or(true);
  for (auto& [text, where] : reader.strings("node_services")) {
    const auto service = node_service_of(text);
    if (service) {
      pool.node_services.push_back(*service);
    } else {
      report_.add(where, "'" + text + "' shall be \"tcp/PORT\", \"udp/PORT\" or \"icmp\"");
    }
  }
  if (pool.dns.size() > 3) reader.complain("dns", "a resolver uses at most 3 DNS servers");
  reader.finish();
  config_.pools.push_back(std::move(pool));
}

void SiteConfigReader::read_mount(const toml::table& table, const std::string& file) {
  TableReader reader{table, file, report_};
  MountConfig mount;
  mount.where = reader.place();
  if (!reader.has("source")) report_.add(reader.place(), "'source' is missing");
  mount.source = reader.path("source").value_or("");
  mount.target = reader.path("target").value_or(mount.source);
  mount.read_only = reader.boolean("read_only").value_or(false);
  if (!mount.source.empty()) {
    // The same rules as for --cloud-mount, where a comma or colon could not be written.
    if (auto good = parse_mounts(mount.source + ":" + mount.target); !good) {
      reader.complain(reader.has("target") ? "target" : "source", without_blame(good.error()));
    }
  }
  reader.finish();
  config_.mounts.push_back(std::move(mount));
}

void SiteConfigReader::read_stages(const toml::table& list, const std::string& file,
                                   std::vector<StageConfig>& stages) {
  TableReader reader{list, file, report_};
  for (const auto* table : reader.tables("stage")) read_stage(*table, file, stages);
  reader.finish();
}

void SiteConfigReader::read_stage(const toml::table& table, const std::string& file,
                                  std::vector<StageConfig>& stages) {
  const bool in_prolog = &stages == &config_.prolog;
  TableReader reader{table, file, report_};
  StageConfig stage;
  stage.where = reader.place();
  stage.name = reader.required_string("name").value_or("");
  if (!stage.name.empty()) {
    define_once(std::string{in_prolog ? "prolog" : "epilog"} + " stage '" + stage.name + "'",
                reader.place("name"));
    if (!is_stage_name(stage.name)) {
      reader.complain("name",
                      "a stage's name is made of a-z, 0-9, '-' and '_', at most 63 characters");
    }
  }
  const std::vector<std::string> actions =
      in_prolog ? std::vector<std::string>{"lease-address", "create-machine"}
                : std::vector<std::string>{"destroy-machine", "release-address"};
  if (reader.has("action") == reader.has("exec")) {
    report_.add(reader.place(), "a stage has either 'action' or 'exec'");
  }
  if (const auto action = reader.choice("action", actions)) {
    const bool first = *action == 0;
    stage.action = in_prolog
                       ? (first ? StageAction::lease_address : StageAction::create_machine)
                       : (first ? StageAction::destroy_machine : StageAction::release_address);
  }
  stage.exec = reader.path("exec").value_or("");
  if (in_prolog) stage.undo = reader.path("undo").value_or("");
  if (!stage.undo.empty() && !reader.has("exec"))
    reader.complain("undo", "'undo' goes with 'exec' only");
  if (reader.is_string("when")) {
    if (const auto when = reader.choice("when", {"cloud", "always"})) {
      stage.when = *when == 1 ? StageConfig::When::always : StageConfig::When::cloud;
    }
  } else if (reader.has("when")) {
    stage.when = StageConfig::When::types;
    for (auto& [type, where] : reader.strings("when")) stage.when_types.push_back(type);
  } else {
    [[maybe_unused]] const auto* asked = reader.raw("when");
  }
  if (auto timeout = reader.duration("timeout")) stage.timeout = *timeout;
  stage.on_error = in_prolog ? OnError::fail_job : OnError::go_on;
  const std::vector<std::string> answers =
      in_prolog ? std::vector<std::string>{"drain-node", "continue", "fail-job"}
                : std::vector<std::string>{"drain-node", "continue"};
  if (const auto answer = reader.choice("on_error", answers)) {
    stage.on_error = *answer == 0   ? OnError::drain_node
                     : *answer == 1 ? OnError::go_on
                                    : OnError::fail_job;
  }
  reader.finish();
  stages.push_back(std::move(stage));
}

}  // namespace cloud
