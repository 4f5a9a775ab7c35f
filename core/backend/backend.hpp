// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/machine/spec.hpp"

struct cloud_backend_v1;
struct cloud_option;

namespace cloud {

using Deadline = std::chrono::steady_clock::time_point;

/// What the engine gives to a backend.
struct BackendHost {
  std::function<void(int level, const std::string& message)> log;  ///< level: cloud_level
  std::function<bool()> cancelled;
};

/// A loaded backend: the C table as a C++ object. Every call turns codes into Error, with the
/// backend's name in front, and catches what should never cross the line.
class Backend {
 public:
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::string version() const;
  [[nodiscard]] bool has_namespaces() const noexcept;

  [[nodiscard]] Result<void> probe();
  [[nodiscard]] Result<void> prepare(const MachineSpec& spec);
  [[nodiscard]] Result<void> start(const MachineSpec& spec, Deadline deadline);
  [[nodiscard]] Result<void> wait_ready(const MachineRef& ref, Deadline deadline,
                                        const std::function<void(const std::string&)>& progress);
  [[nodiscard]] Result<MachineInfo> info(const MachineRef& ref);
  [[nodiscard]] Result<void> stop(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Result<void> destroy(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Result<std::vector<std::string>> list();

 private:
  friend Result<std::unique_ptr<Backend>> open_backend(const std::string&, const BackendConfig&,
                                                       BackendHost);
  struct Impl;
  explicit Backend(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Loads `<dir>/cloud_backend_<name>.so` (trusted path, eager binding, never unloaded), checks its
/// table, checks config.settings against its options, and opens it. Each way a file can be wrong
/// has its own message (Blame::site), which names the file.
[[nodiscard]] Result<std::unique_ptr<Backend>> open_backend(const std::string& dir,
                                                            const BackendConfig& config,
                                                            BackendHost host);

/// The table only, checked; nothing of it was called.
[[nodiscard]] Result<const cloud_backend_v1*> load_backend_table(const std::string& dir,
                                                                 const std::string& name);

/// Checks [backend.NAME] settings against the backend's published options: unknown key (with the
/// nearest name), wrong type, missing required one, each at its file:line:column.
void check_backend_settings(const cloud_backend_v1& table, const BackendConfig& config,
                            Report& report);

}  // namespace cloud
