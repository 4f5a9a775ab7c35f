// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spank-cloud/backend_abi.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {

/// What is checked: a file, and how a site has set it up.
struct Target {
  std::string file;  ///< absolute, links resolved
  std::string name;  ///< of the backend, as the file's name says it
  bool checks_owner = true;
  bool shows_log = false;
  BackendConfig config;
  ImageConfig image;
};

/// Where --verbose writes: the stderr that the run was begun with, whatever stands in its place in
/// a worker. To be called once before there are workers.
[[nodiscard]] std::FILE* verbose_stream();

/// How the backend answered to one call.
struct Answer {
  std::string call;
  std::int32_t code = CLOUD_E_INTERNAL;
  std::string message;    ///< as it came, at most what the buffer holds
  std::string misshapen;  ///< what is wrong with the answer itself; "" where it is well-formed
  std::chrono::steady_clock::duration took{};

  [[nodiscard]] bool is_ok() const { return code == CLOUD_OK; }
  /// "start() answered CLOUD_E_NODE: message", on one line.
  [[nodiscard]] std::string text() const;
};

using Deadline = std::chrono::steady_clock::time_point;

/// The backend's table, called without the engine's corrections in between. To be used in a Worker.
class Subject {
 public:
  /// Loads the file as the engine does.
  [[nodiscard]] static Result<Subject> load(const Target& target);
  Subject(Subject&&) = default;
  Subject& operator=(Subject&&) = delete;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  ~Subject() = default;  // close() is a call like the others

  /// load(), the settings checked as the engine does it, and open().
  [[nodiscard]] static Result<Subject> opened(const Target& target);

  [[nodiscard]] const cloud_backend_v1& table() const noexcept { return *table_; }
  void set_cancelled(std::function<bool()> cancelled);

  [[nodiscard]] Answer open();
  void close();
  [[nodiscard]] Answer probe();
  [[nodiscard]] Answer prepare(MachineSpec spec);
  [[nodiscard]] Answer start(MachineSpec spec, Deadline deadline);
  [[nodiscard]] Answer wait_ready(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Answer info(const MachineRef& ref, cloud_machine_info& out);
  [[nodiscard]] Answer stop(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Answer destroy(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Answer list(std::vector<std::string>& names);
  [[nodiscard]] Answer console(const MachineRef& ref, UniqueFd& stream);

 private:
  struct Host;
  Subject(const Target& target, const cloud_backend_v1* table);

  [[nodiscard]] Answer call(const char* name,
                            const std::function<std::int32_t(cloud_error*)>& function);

  const Target* target_;
  const cloud_backend_v1* table_;
  std::shared_ptr<Host> host_;
  cloud_backend* self_ = nullptr;
};

/// The answer as a Result: an error unless it is CLOUD_OK.
[[nodiscard]] Result<void> must(const Answer& answer);

}  // namespace cloud
