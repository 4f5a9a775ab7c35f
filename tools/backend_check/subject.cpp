// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/subject.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "core/backend/backend.hpp"
#include "core/backend/one_line.hpp"
#include "core/backend/spec_view.hpp"
#include "core/job/cgroup.hpp"
#include "core/network/port_guard.hpp"
#include "tools/backend_check/stage.hpp"
#include "tools/backend_check/verdict.hpp"

namespace cloud {
namespace {

constexpr std::array<const char*, 9> kCodes = {
    "CLOUD_OK",        "CLOUD_E_INTERNAL",    "CLOUD_E_CONFIG",
    "CLOUD_E_REQUEST", "CLOUD_E_NODE",        "CLOUD_E_NOT_FOUND",
    "CLOUD_E_TIMEOUT", "CLOUD_E_UNSUPPORTED", "CLOUD_E_CANCELLED"};

std::string code_name(std::int32_t code) {
  const auto index = static_cast<std::size_t>(code);
  return code >= 0 && index < kCodes.size() ? kCodes.at(index) : "code " + std::to_string(code);
}

std::int64_t nanoseconds(Deadline deadline) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count();
}

// What the header promises of a failure: a known code in both places, and one line.
std::string misshape_of(std::int32_t code, const cloud_error& error) {
  if (code == CLOUD_OK) return {};
  if (code < 0 || static_cast<std::size_t>(code) >= kCodes.size()) return "it made up a code";
  if (error.code != code) return "cloud_error.code is " + std::to_string(error.code);
  const std::string_view all{error.message, sizeof error.message};
  const auto end = all.find('\0');
  if (end == std::string_view::npos) return "its message has no end";
  const auto message = all.substr(0, end);
  if (message.empty()) return "it gives no message";
  const bool has_control = std::any_of(message.begin(), message.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (has_control) return "its message is not one line";
  if (message.back() == '.') return "its message ends with a period";
  return {};
}

}  // namespace

std::FILE* verbose_stream() {
  static std::FILE* const stream = [] {
    auto* made = ::fdopen(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), "w");
    if (made == nullptr) return stderr;
    // Workers end without a flush.
    ::setvbuf(made, nullptr, _IOLBF, 0);
    return made;
  }();
  return stream;
}

struct Subject::Host {
  cloud_host table{};
  std::function<bool()> cancelled;
  bool shows_log = false;
  std::string cgroup;  ///< of the machine that start() is starting
  std::optional<PortGuard>
      guard;               ///< its, where it has a network; the port is the backend's to name
  bool is_ending = false;  ///< in destroy(), which is not cancelled

  static std::int32_t place(void* context, const char* cgroup, std::int64_t pid,
                            cloud_error* error) {
    auto& host = *static_cast<Host*>(context);
    const std::string wanted = cgroup;
    Result<void> done;
    if (host.cgroup.empty() || (wanted != host.cgroup && !wanted.starts_with(host.cgroup + "/"))) {
      done = wrong("place(): '" + wanted + "' is not the machine's group, or this is not start()");
    } else if (done = create_cgroup(wanted); done) {
      done = enter_cgroup_with_threads(wanted, static_cast<pid_t>(pid));
    }
    if (done) return CLOUD_OK;
    return refuse(error, host.cgroup.empty() ? CLOUD_E_UNSUPPORTED : CLOUD_E_NODE, done.error());
  }

  static std::int32_t guard_port(void* context, const char* interface, cloud_error* error) {
    auto& host = *static_cast<Host*>(context);
    if (!host.guard) {
      return refuse(error, CLOUD_E_UNSUPPORTED,
                    wrong("guard_port(): this is not start(), or the machine has no network"));
    }
    host.guard->port = interface;
    const auto done = set_port_guard(*host.guard);
    return done ? CLOUD_OK : refuse(error, CLOUD_E_NODE, done.error());
  }

  static std::int32_t refuse(cloud_error* error, std::int32_t code, const Error& why) {
    std::snprintf(error->message, sizeof error->message, "%s", why.message.c_str());
    return error->code = code;
  }
};

std::string Answer::text() const {
  auto text = call + "() answered " + code_name(code);
  if (!message.empty()) text += ": " + one_line(message.c_str(), 300);
  if (message.empty() && !misshapen.empty()) text += ": " + one_line(misshapen.c_str(), 300);
  return text;
}

Result<void> must(const Answer& answer) {
  if (answer.is_ok()) return {};
  return wrong(answer.text());
}

Subject::Subject(const Target& target, const cloud_backend_v1* table)
    : target_{&target}, table_{table}, host_{std::make_shared<Host>()} {
  host_->shows_log = target.shows_log;
  host_->table.struct_size = sizeof host_->table;
  host_->table.abi_minor = CLOUD_ABI_MINOR;
  host_->table.context = host_.get();
  host_->table.log = [](void* context, cloud_level, const char* message) {
    if (static_cast<Host*>(context)->shows_log) {
      std::fprintf(verbose_stream(), "# log: %s\n", one_line(message, 2000).c_str());
    }
  };
  host_->table.cancelled = [](void* context) {
    const auto& host = *static_cast<Host*>(context);
    return !host.is_ending && host.cancelled && host.cancelled() ? 1 : 0;
  };
  host_->table.place = &Host::place;
  host_->table.guard_port = &Host::guard_port;
}

Result<Subject> Subject::load(const Target& target) {
  auto& stage = Stage::instance();
  stage.enter("load");
  const auto folder = target.file.substr(0, target.file.rfind('/'));
  const auto table = target.checks_owner ? load_backend_table(folder, target.name)
                                         : load_unowned_backend_table(target.file, target.name);
  stage.leave();
  if (!table) return table.error();
  return Subject{target, *table};
}

Result<Subject> Subject::opened(const Target& target) {
  auto subject = load(target);
  if (!subject) return subject;
  Report report;
  check_backend_settings(subject->table(), target.config, report);
  if (!report.empty()) {
    return Error{Blame::site, report.first_line()};
  }
  if (auto open = must(subject->open()); !open) return std::move(open).error();
  return subject;
}

void Subject::set_cancelled(std::function<bool()> cancelled) {
  host_->cancelled = std::move(cancelled);
}

Answer Subject::call(const char* name, const std::function<std::int32_t(cloud_error*)>& function) {
  Answer answer;
  answer.call = name;
  auto& stage = Stage::instance();
  cloud_error error{};
  error.struct_size = sizeof error;
  error.setting = -1;
  const auto begun = std::chrono::steady_clock::now();
  stage.enter(name);
  try {
    answer.code = function(&error);
    answer.misshapen = misshape_of(answer.code, error);
  } catch (const std::exception& escaped) {
    answer.misshapen = std::string{"an exception left the backend: "} + escaped.what();
  } catch (...) {
    answer.misshapen = "an exception left the backend";
  }
  stage.leave();
  answer.took = std::chrono::steady_clock::now() - begun;
  error.message[sizeof error.message - 1] = '\0';
  if (!answer.is_ok()) answer.message = error.message;
  if (target_->shows_log) {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(answer.took).count();
    std::fprintf(verbose_stream(), "# %s, after %lld ms\n", answer.text().c_str(),
                 static_cast<long long>(time));
  }
  return answer;
}

Answer Subject::open() {
  std::vector<cloud_setting> settings;
  for (const auto& setting : target_->config.settings) settings.push_back(c_setting(setting));
  return call("open", [&](cloud_error* error) {
    const auto code = table_->open(&host_->table, settings.data(), settings.size(), &self_, error);
    if (code != CLOUD_OK || self_ != nullptr) return code;
    std::snprintf(error->message, sizeof error->message, "it gave nothing back");
    return error->code = CLOUD_E_INTERNAL;
  });
}

void Subject::close() {
  if (self_ == nullptr) return;
  Stage::instance().enter("close");
  table_->close(std::exchange(self_, nullptr));
  Stage::instance().leave();
}

Answer Subject::probe() {
  return call("probe", [&](cloud_error* error) { return table_->probe(self_, error); });
}

Answer Subject::prepare(MachineSpec spec) {
  spec.image.settings = image_settings_for(*table_, target_->image);
  // The engine's prolog knows none of these yet.
  spec.cgroup.clear();
  spec.cpus.clear();
  spec.cpu_count = 0;
  spec.memory_bytes = 0;
  spec.ssh.reset();
  for (auto& mount : spec.mounts) mount.source_fd = -1;
  const SpecView view{spec};
  return call("prepare",
              [&](cloud_error* error) { return table_->prepare(self_, view.c_spec(), error); });
}

Answer Subject::start(MachineSpec spec, Deadline deadline) {
  spec.image.settings = image_settings_for(*table_, target_->image);
  const SpecView view{spec};
  host_->cgroup = spec.cgroup;
  if (spec.network) {
    host_->guard = PortGuard{
        spec.name, "", spec.network->mac, spec.network->address, spec.network->dns, {}, {}};
  }
  auto answer = call("start", [&](cloud_error* error) {
    return table_->start(self_, view.c_spec(), nanoseconds(deadline), error);
  });
  host_->cgroup.clear();
  host_->guard.reset();
  return answer;
}

Answer Subject::wait_ready(const MachineRef& ref, Deadline deadline) {
  const auto view = c_ref(ref);
  const auto progress = [](void*, const char*) {};
  return call("wait_ready", [&](cloud_error* error) {
    return table_->wait_ready(self_, &view, nanoseconds(deadline), progress, nullptr, error);
  });
}

Answer Subject::info(const MachineRef& ref, cloud_machine_info& out) {
  const auto view = c_ref(ref);
  out = {};
  out.struct_size = sizeof out;
  return call("info", [&](cloud_error* error) { return table_->info(self_, &view, &out, error); });
}

Answer Subject::stop(const MachineRef& ref, Deadline deadline) {
  const auto view = c_ref(ref);
  return call("stop", [&](cloud_error* error) {
    return table_->stop(self_, &view, nanoseconds(deadline), error);
  });
}

Answer Subject::destroy(const MachineRef& ref, Deadline deadline) {
  const auto view = c_ref(ref);
  host_->is_ending = true;
  auto answer = call("destroy", [&](cloud_error* error) {
    return table_->destroy(self_, &view, nanoseconds(deadline), error);
  });
  host_->is_ending = false;
  // As the engine does when the port has gone.
  if (answer.is_ok()) (void)remove_port_guard(ref.name);
  return answer;
}

Answer Subject::list(std::vector<std::string>& names) {
  const auto visit = [](void* context, const char* name) {
    static_cast<std::vector<std::string>*>(context)->emplace_back(name);
  };
  return call("list",
              [&](cloud_error* error) { return table_->list(self_, visit, &names, error); });
}

Answer Subject::console(const MachineRef& ref, UniqueFd& stream) {
  const auto view = c_ref(ref);
  std::int32_t fd = -1;
  auto answer = call("console",
                     [&](cloud_error* error) { return table_->console(self_, &view, &fd, error); });
  stream.reset(fd);
  return answer;
}

}  // namespace cloud
