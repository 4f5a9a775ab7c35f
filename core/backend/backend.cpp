// SPDX-License-Identifier: Apache-2.0
#include "core/backend/backend.hpp"

#include <spank-cloud/backend_abi.h>

#include <algorithm>

#include "core/backend/one_line.hpp"
#include "core/backend/spec_view.hpp"

namespace cloud {
namespace {

Blame blame_of(std::int32_t code) {
  switch (code) {
    case CLOUD_E_CONFIG:
    case CLOUD_E_UNSUPPORTED:
      return Blame::site;
    case CLOUD_E_REQUEST:
      return Blame::user;
    case CLOUD_E_NODE:
    case CLOUD_E_NOT_FOUND:
    case CLOUD_E_TIMEOUT:
      return Blame::node;
    case CLOUD_E_CANCELLED:
      return Blame::cancelled;
    default:
      return Blame::internal;
  }
}

std::int64_t nanoseconds(Deadline deadline) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count();
}

// What the engine hands to a backend as a callback: nothing may be thrown through a backend's
// frames, which may be C.
template <typename Body>
void shielded(Body&& body) noexcept {
  try {
    body();
  } catch (...) {  // a lost log line or phase is better than a lost node
  }
}

std::string type_name(std::int32_t type) {
  return type == CLOUD_STRING ? "a string" : type == CLOUD_INT ? "an integer" : "true or false";
}

bool has_type(const BackendSetting& setting, std::int32_t type) {
  const auto index = setting.value.index();
  return (type == CLOUD_STRING && index == 0) || (type == CLOUD_INT && index == 1) ||
         (type == CLOUD_BOOL && index == 2);
}

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

}  // namespace

struct Backend::Impl {
  BackendConfig config;
  BackendHost host;
  cloud_host c_host{};
  const cloud_backend_v1* table = nullptr;
  cloud_backend* self = nullptr;

  // The SDK's guard catches in the backend; this catches what a backend without it lets out.
  template <typename Call>
  Result<void> call(Call&& function) {
    cloud_error error{};
    error.struct_size = sizeof error;
    error.setting = -1;
    std::int32_t code = CLOUD_E_INTERNAL;
    try {
      code = function(&error);
    } catch (const std::exception& escaped) {
      return Error{Blame::internal, "backend '" + config.name +
                                        "': an exception left the backend: " +
                                        one_line(escaped.what(), sizeof error.message)};
    } catch (...) {
      return Error{Blame::internal, "backend '" + config.name + "': an exception left the backend"};
    }
    if (code == CLOUD_OK) return {};
    auto message = one_line(error.message, sizeof error.message);
    if (message.empty()) message = "failed with code " + std::to_string(code) + " and no message";
    const auto index = static_cast<std::size_t>(error.setting);
    if (error.setting >= 0 && index < config.settings.size()) {
      message = config.settings[index].where.text() + ": " + message;
    }
    return Error{blame_of(code), "backend '" + config.name + "': " + message, error.os_errno};
  }
};

Backend::Backend(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}

Backend::~Backend() {
  if (impl_->self == nullptr) return;
  try {
    impl_->table->close(impl_->self);
  } catch (...) {  // nothing is left to report it to
  }
}

const std::string& Backend::name() const noexcept {
  return impl_->config.name;
}
std::string Backend::version() const {
  return one_line(impl_->table->version, 64);
}
bool Backend::has_namespaces() const noexcept {
  return (impl_->table->capabilities & CLOUD_CAP_NAMESPACES) != 0;
}

Result<void> Backend::probe() {
  return impl_->call([&](cloud_error* error) { return impl_->table->probe(impl_->self, error); });
}

Result<void> Backend::prepare(const MachineSpec& spec) {
  const SpecView view{spec};
  return impl_->call(
      [&](cloud_error* error) { return impl_->table->prepare(impl_->self, view.c_spec(), error); });
}

Result<void> Backend::start(const MachineSpec& spec, Deadline deadline) {
  const SpecView view{spec};
  return impl_->call([&](cloud_error* error) {
    return impl_->table->start(impl_->self, view.c_spec(), nanoseconds(deadline), error);
  });
}

Result<void> Backend::wait_ready(const MachineRef& ref, Deadline deadline,
                                 const std::function<void(const std::string&)>& progress) {
  const auto view = c_ref(ref);
  const auto forward = [](void* context, const char* phase) {
    shielded([&] {
      const auto& sink = *static_cast<const std::function<void(const std::string&)>*>(context);
      if (sink) sink(one_line(phase, 256));
    });
  };
  return impl_->call([&](cloud_error* error) {
    return impl_->table->wait_ready(impl_->self, &view, nanoseconds(deadline), forward,
                                    const_cast<std::function<void(const std::string&)>*>(&progress),
                                    error);
  });
}

Result<MachineInfo> Backend::info(const MachineRef& ref) {
  const auto view = c_ref(ref);
  cloud_machine_info out{};
  out.struct_size = sizeof out;
  auto done = impl_->call(
      [&](cloud_error* error) { return impl_->table->info(impl_->self, &view, &out, error); });
  if (!done) return std::move(done).error();
  const bool known = out.state >= CLOUD_ABSENT && out.state <= CLOUD_STOPPING;
  if (!known) return Error{Blame::internal, "backend '" + name() + "': info() made up a state"};
  if (out.init_pid < 0) {
    return Error{Blame::internal, "backend '" + name() + "': info() made up a process id"};
  }
  return MachineInfo{static_cast<MachineState>(out.state), has_namespaces() ? out.init_pid : 0,
                     one_line(out.detail, sizeof out.detail)};
}

Result<void> Backend::stop(const MachineRef& ref, Deadline deadline) {
  const auto view = c_ref(ref);
  return impl_->call([&](cloud_error* error) {
    return impl_->table->stop(impl_->self, &view, nanoseconds(deadline), error);
  });
}

Result<void> Backend::destroy(const MachineRef& ref, Deadline deadline) {
  const auto view = c_ref(ref);
  return impl_->call([&](cloud_error* error) {
    return impl_->table->destroy(impl_->self, &view, nanoseconds(deadline), error);
  });
}

Result<std::vector<std::string>> Backend::list() {
  std::vector<std::string> names;
  const auto visit = [](void* context, const char* found) {
    shielded(
        [&] { static_cast<std::vector<std::string>*>(context)->push_back(one_line(found, 256)); });
  };
  auto done = impl_->call(
      [&](cloud_error* error) { return impl_->table->list(impl_->self, visit, &names, error); });
  if (!done) return std::move(done).error();
  return names;
}

void check_backend_settings(const cloud_backend_v1& table, const BackendConfig& config,
                            Report& report) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < table.option_count; ++i) {
    const auto& option = table.options[i];
    known.emplace_back(option.key);
    const auto found =
        std::find_if(config.settings.begin(), config.settings.end(),
                     [&](const BackendSetting& setting) { return setting.key == option.key; });
    if (found == config.settings.end()) {
      if (option.required != 0) {
        report.add(config.where, "[backend." + config.name + "] needs '" + option.key + "' (" +
                                     option.help + ")");
      }
    } else if (!has_type(*found, option.type)) {
      report.add(found->where, "'" + found->key + "' shall be " + type_name(option.type));
    }
  }
  for (const auto& setting : config.settings) {
    if (std::find(known.begin(), known.end(), setting.key) != known.end()) continue;
    auto all = known;
    all.insert(all.end(), {"enabled", "image", "pool"});
    const auto meant = nearest(setting.key, all);
    report.add(setting.key_where, "backend '" + config.name + "' has no option '" + setting.key +
                                      "'" +
                                      (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
  }
}

Result<std::unique_ptr<Backend>> open_backend(const std::string& dir, const BackendConfig& config,
                                              BackendHost host) {
  const auto table = load_backend_table(dir, config.name);
  if (!table) return table.error();
  Report report;
  check_backend_settings(**table, config, report);
  if (!report.empty()) {
    const auto all = report.sorted();
    const auto more = all.size() == 1 ? "" : " (and " + std::to_string(all.size() - 1) + " more)";
    return Error{Blame::site, all.front().where.text() + ": " + all.front().message + more};
  }
  auto impl = std::make_unique<Backend::Impl>();
  impl->config = config;
  impl->host = std::move(host);
  impl->table = *table;
  impl->c_host.struct_size = sizeof impl->c_host;
  impl->c_host.abi_minor = CLOUD_ABI_MINOR;
  impl->c_host.context = &impl->host;
  impl->c_host.log = [](void* context, cloud_level level, const char* message) {
    shielded([&] {
      const auto& sink = static_cast<BackendHost*>(context)->log;
      if (sink) sink(level, one_line(message, 4096));
    });
  };
  impl->c_host.cancelled = [](void* context) {
    bool is_cancelled = false;
    shielded([&] {
      const auto& asked = static_cast<BackendHost*>(context)->cancelled;
      is_cancelled = asked && asked();
    });
    return is_cancelled ? 1 : 0;
  };
  std::vector<cloud_setting> settings;
  for (const auto& setting : impl->config.settings) settings.push_back(c_setting(setting));
  auto opened = impl->call([&](cloud_error* error) {
    return impl->table->open(&impl->c_host, settings.data(), settings.size(), &impl->self, error);
  });
  if (!opened) return std::move(opened).error();
  if (impl->self == nullptr) {
    return Error{Blame::internal, "backend '" + config.name + "': open() gave nothing back"};
  }
  return std::unique_ptr<Backend>{new Backend{std::move(impl)}};
}

}  // namespace cloud
