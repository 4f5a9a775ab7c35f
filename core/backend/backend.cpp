// SPDX-License-Identifier: Apache-2.0
#include "core/backend/backend.hpp"

#include <spank-cloud/backend_abi.h>

#include <algorithm>

#include "core/backend/one_line.hpp"
#include "core/backend/setting_type.hpp"
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

}  // namespace

struct Backend::Impl {
  BackendConfig config;
  BackendHost host;
  cloud_host c_host{};
  const cloud_backend_v1* table = nullptr;
  cloud_backend* self = nullptr;

  StartServices services;  ///< while start() runs
  bool is_ending = false;  ///< destroy() runs, which is what a cancelled job needs

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

namespace {

std::int32_t refuse(cloud_error* error, std::int32_t code, const std::string& message) {
  error->code = code;
  const auto text = one_line(message.c_str(), sizeof error->message - 1);
  text.copy(error->message, sizeof error->message - 1);
  error->message[std::min(text.size(), sizeof error->message - 1)] = '\0';
  return code;
}

// One of the services of a start, called by the backend.
template <typename Service, typename... Arguments>
std::int32_t serve(const char* name, const Service& service, cloud_error* error,
                   const Arguments&... arguments) noexcept {
  std::int32_t code = CLOUD_E_INTERNAL;
  shielded([&] {
    if (!service) {
      code = refuse(error, CLOUD_E_UNSUPPORTED, std::string{name} + "() is for start() alone");
      return;
    }
    const Result<void> done = service(arguments...);
    code = done ? CLOUD_OK : refuse(error, CLOUD_E_NODE, done.error().message);
  });
  return code;
}

}  // namespace

// The engine's side of cloud_host.place and cloud_host.guard_port.
std::int32_t Backend::place_process(void* context, const char* cgroup, std::int64_t pid,
                                    cloud_error* error) {
  return serve("place", static_cast<Impl*>(context)->services.place, error, cgroup, pid);
}

std::int32_t Backend::guard_port(void* context, const char* interface, cloud_error* error) {
  return serve("guard_port", static_cast<Impl*>(context)->services.guard_port, error, interface);
}

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
bool Backend::has_ssh() const noexcept {
  return (impl_->table->capabilities & CLOUD_CAP_SSH) != 0;
}
bool Backend::has_console() const noexcept {
  return (impl_->table->capabilities & CLOUD_CAP_CONSOLE) != 0;
}

Result<void> Backend::probe() {
  return impl_->call([&](cloud_error* error) { return impl_->table->probe(impl_->self, error); });
}

Result<void> Backend::prepare(const MachineSpec& spec) {
  const SpecView view{spec};
  return impl_->call(
      [&](cloud_error* error) { return impl_->table->prepare(impl_->self, view.c_spec(), error); });
}

Result<void> Backend::start(const MachineSpec& spec, Deadline deadline,
                            const StartServices& services) {
  const SpecView view{spec};
  impl_->services = services;
  auto started = impl_->call([&](cloud_error* error) {
    return impl_->table->start(impl_->self, view.c_spec(), nanoseconds(deadline), error);
  });
  impl_->services = {};
  return started;
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
  if (out.init_pid < 0 || out.main_pid < 0) {
    return Error{Blame::internal, "backend '" + name() + "': info() made up a process id"};
  }
  // A backend of an older minor leaves what it does not know as it was, 0.
  return MachineInfo{static_cast<MachineState>(out.state), has_namespaces() ? out.init_pid : 0,
                     out.main_pid > 0 ? out.main_pid : out.init_pid,
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
  impl_->is_ending = true;
  auto destroyed = impl_->call([&](cloud_error* error) {
    return impl_->table->destroy(impl_->self, &view, nanoseconds(deadline), error);
  });
  impl_->is_ending = false;
  return destroyed;
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

Result<UniqueFd> Backend::console(const MachineRef& ref) {
  const auto view = c_ref(ref);
  std::int32_t fd = -1;
  auto done = impl_->call(
      [&](cloud_error* error) { return impl_->table->console(impl_->self, &view, &fd, error); });
  if (!done) return std::move(done).error();
  if (fd < 0) return Error{Blame::internal, "backend '" + name() + "': console() gave nothing"};
  return UniqueFd{fd};
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
  const auto table = load_backend_table(dir, config.name, config.notes);
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
  impl->c_host.context = impl.get();
  impl->c_host.log = [](void* context, cloud_level level, const char* message) {
    shielded([&] {
      const auto& sink = static_cast<Backend::Impl*>(context)->host.log;
      if (sink) sink(level, one_line(message, 4096));
    });
  };
  impl->c_host.cancelled = [](void* context) {
    bool is_cancelled = false;
    shielded([&] {
      const auto& own = *static_cast<Backend::Impl*>(context);
      is_cancelled = !own.is_ending && own.host.cancelled && own.host.cancelled();
    });
    return is_cancelled ? 1 : 0;
  };
  impl->c_host.place = &Backend::place_process;
  impl->c_host.guard_port = &Backend::guard_port;
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
